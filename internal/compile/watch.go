package compile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/render"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/report"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/watch"
)

// Watch generates, and again each time that something has changed of which files are
// generated. It prints what that changed in meaning on out, and on stderr warnings, and
// why nothing was generated. It ends without an error when ctx ends, and on SIGINT and
// SIGTERM, between two runs. If poll, it does not rely on the system to report changes.
func Watch(ctx context.Context, options Options, poll bool, out, stderr io.Writer) error {
	return newCommand(options).watch(ctx, poll, out, stderr)
}

func (c *command) watch(ctx context.Context, poll bool, out, stderr io.Writer) error {
	options, err := plugin.ParseOptions(strings.Join(c.Receiver, ","))
	if err != nil {
		return err
	}
	if options.Check {
		return errors.New("--watch writes files, and the option check=true writes none: leave one of them out")
	}
	for _, dir := range c.ImportPaths {
		if info, err := os.Stat(dir); err != nil {
			return err
		} else if !info.IsDir() {
			return fmt.Errorf("%s is a file, and -I names a folder", dir)
		}
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	watcher := watch.New(func() watch.Set { return c.inputs(options) }, poll)
	defer watcher.Close()
	fmt.Fprintf(out, "watching %s; Ctrl-C ends it\n", strings.Join(c.ImportPaths, ", "))

	printer := &printer{out: out, stderr: stderr}
	state, again := watcher.Look(), false
	for {
		if !poll {
			printer.polling(watcher.Polls())
		}
		began := time.Now()
		done, err := c.generate(ctx, io.Discard)
		took := time.Since(began)
		if ctx.Err() != nil {
			return nil
		}
		later := watcher.Look()
		if err == nil && done.gomod != nil {
			state = state.Wrote(absolute(filepath.Join(options.Root, "go.mod")), done.gomod, later)
			c.findTools(ctx, options.Root)
		}
		touched := !later.Untouched(state)
		switch {
		case err == nil:
			if printer.generated(done, took, again) {
				printer.warnings = c.lasting(done)
			}
		case !touched: // else it may be about files that were just being saved
			printer.refused(err)
		}
		// What was saved during the run may have been read, or not, or in part.
		if again = touched; again {
			state, err = watcher.Settle(ctx, later)
		} else {
			state, err = watcher.Wait(ctx, later)
		}
		if err != nil {
			return nil // it was asked to end
		}
	}
}

// findTools finds the tools again after go.mod was written, so that the next run need not.
func (c *command) findTools(ctx context.Context, root string) {
	gomod, err := plugin.ReadGoMod(root)
	if err != nil {
		return
	}
	for _, tool := range tools {
		_, _ = c.programs.find(ctx, tool, root, gomod) // the next run reports what is wrong
	}
}

// lasting returns those of a run's warnings that the next run would repeat, in its words:
// without a hint at the end about what this run did. The others are about that alone, and
// need not be settled.
func (c *command) lasting(done outcome) (last []string) {
	next, err := plugin.Run(c.request)
	if err != nil {
		return nil
	}
	warnings, _ := done.warnings()
	for _, line := range slices.Concat(next.Lines, done.ofMessages) {
		begins := func(warning string) bool { return strings.HasPrefix(withoutPlaces(warning), withoutPlaces(line.Text)) }
		if slices.ContainsFunc(warnings, begins) {
			last = append(last, line.Text)
		}
	}
	return last
}

// warnings returns the lines of a run about what is, the most important last, and those
// about what it did.
func (o outcome) warnings() (warnings, did []string) {
	lines := slices.Clone(o.lines)
	slices.SortStableFunc(lines, func(a, b report.Line) int { return cmp.Compare(a.Kind, b.Kind) })
	for _, line := range lines {
		if line.Kind == report.Done {
			did = append(did, line.Text)
		} else {
			warnings = append(warnings, line.Text)
		}
	}
	return warnings, did
}

// inputs returns what files are generated of, as far as it is known.
func (c *command) inputs(options plugin.Options) watch.Set {
	templates, root := "", absolute(options.Root)
	if options.Templates != "" {
		templates = absolute(options.Templates)
	}
	set := watch.Set{Belongs: func(path string) bool {
		return filepath.Ext(path) == ".proto" || templates != "" && render.Reads(templates, path)
	}}
	folders := map[string]string{} // without links
	file := func(path string) {
		dir, ok := folders[filepath.Dir(path)]
		if !ok {
			dir = filepath.Dir(absolute(path))
			folders[filepath.Dir(path)] = dir
			set.Folders = append(set.Folders, dir)
		}
		path = filepath.Join(dir, filepath.Base(path))
		set.Files = append(set.Files, path)
		if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink == 0 {
			return
		}
		if real, err := filepath.EvalSymlinks(path); err == nil {
			set.Files, set.Folders = append(set.Files, real), append(set.Folders, filepath.Dir(real))
		}
	}
	search := protoSearch{seen: map[string]bool{}}
	for _, dir := range c.ImportPaths {
		before := len(search.files)
		_ = search.below(dir) // the run reports what is wrong
		for _, name := range search.files[before:] {
			file(filepath.Join(dir, filepath.FromSlash(name)))
		}
		set.Folders = append(set.Folders, absolute(dir))
	}
	for dir := range search.seen {
		set.Folders = append(set.Folders, dir)
	}
	file(filepath.Join(root, "go.mod"))
	for _, name := range c.Files {
		file(name)
	}
	c.opened.Range(func(path, _ any) bool {
		file(path.(string))
		return true
	})
	if options.Comments != "" {
		file(options.CommentsFile())
	}
	if templates != "" {
		set.Folders = append(set.Folders, templates)
		files, folders := render.Inputs(templates)
		set.Folders = append(set.Folders, folders...)
		for _, path := range files {
			file(path)
		}
	}
	return set
}

// absolute returns the path by which the watcher knows a file or folder: that of its
// folder without links.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		path = full
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(real, filepath.Base(path))
	}
	return path
}

// printer prints what came of each run.
type printer struct {
	out, stderr io.Writer
	model       *model.Module // of the last run that was not refused; nil for none
	warnings    []string      // that hold
	polls       string        // why the watcher polls
}

func (p *printer) polling(why string) {
	if why != "" && p.polls == "" {
		fmt.Fprintf(p.out, "looking at the files a few times a second, because %s\n", why)
	}
	p.polls = why
}

// refused prints why nothing was written.
func (p *printer) refused(err error) {
	fmt.Fprintf(p.stderr, "not generated:\n%s", indented(err.Error()))
}

// generated prints what has changed in meaning since the last run, and which warnings are
// new, or no longer hold. If the run was to make sure, it is silent if there is nothing.
// It returns whether any warning is new.
func (p *printer) generated(done outcome, took time.Duration, sure bool) (more bool) {
	warnings, did := done.warnings()
	var changes, raised []string
	for _, change := range model.Changes(p.model, done.model) {
		changes = append(changes, change.String())
	}
	for _, line := range warnings {
		if !holds(p.warnings, line) {
			raised = append(raised, "warning: "+line)
		}
	}
	for _, line := range p.warnings {
		if !holds(warnings, line) {
			changes = append(changes, "settled: "+withoutPlaces(line))
		}
	}
	changes = append(changes, did...)
	what := "; services, events and fields are as before"
	switch {
	case p.model == nil:
		what, changes = ": "+summary(done.model), did
	case len(changes) > 0:
		what = ""
	case sure && len(raised) == 0:
		return false
	}
	fmt.Fprintf(p.out, "generated in %d ms%s\n%s", took.Milliseconds(), what, indented(changes...))
	fmt.Fprint(p.stderr, indented(raised...))
	p.model, p.warnings = done.model, warnings
	if p.model == nil {
		p.model = &model.Module{}
	}
	return len(raised) > 0
}

// summary counts what there is in a model.
func summary(m *model.Module) string {
	var services, methods, events int
	if m != nil {
		services, events = len(m.Services()), len(m.EventTypes())
		for _, service := range m.Services() {
			methods += len(service.Methods)
		}
	}
	return fmt.Sprintf("services %d, rpcs %d, event types %d", services, methods, events)
}

// places are the line and column in the names of places, which change with every line
// that is added above.
var places = regexp.MustCompile(`(\.\w+):\d+(:\d+)?`)

func withoutPlaces(line string) string { return places.ReplaceAllString(line, "$1") }

// holds reports whether a warning is one of several, wherever it is by now.
func holds(warnings []string, line string) bool {
	return slices.ContainsFunc(warnings, func(other string) bool { return withoutPlaces(other) == withoutPlaces(line) })
}

// indented returns lines, each with two spaces before it.
func indented(lines ...string) string {
	var text strings.Builder
	for _, line := range lines {
		for part := range strings.SplitSeq(line, "\n") {
			text.WriteString("  " + part + "\n")
		}
	}
	return text.String()
}
