// Package project is the command new: it makes a module around a proto, or adds a
// service to one, and generates at once. It writes nothing where something else is.
package project

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"
)

// Config says what to make, as the flags of the command do.
type Config struct {
	Module      string   // path of the module; "" for that of the go.mod that is there
	Service     string   // "" for one that is named after the module
	Event       string   // message of the events; "" for Event
	Dir         string   // folder of the module; "" for the current one
	From        []string // protos to build the module around, instead of writing one
	ImportPaths []string // where what those import is; by default their folders
	Templates   string   // folder of templates that override ours; "" for none
	DryRun      bool     // list the files, and write none

	// Version is that of this program, if the Go command can get it as a module; ""
	// for a build that has none. Then it is not a tool of the module.
	Version string
}

// New makes a module, or adds a service to the one that is in the folder. It prints on
// out what it made and the commands to run next, or with DryRun the files that it would
// write. What generate prints about the protos it prints on stderr: last, or with DryRun first.
//
// It needs the Go command, and the network where modules are not in Go's cache. If
// those can't be had, the files remain, and running it again completes them.
func New(ctx context.Context, config Config, out, stderr io.Writer) error {
	plan, err := prepare(ctx, config)
	if err != nil {
		return err
	}
	if config.DryRun {
		for _, line := range plan.advice {
			fmt.Fprintln(stderr, "protoc-gen-receiver:", line)
		}
		return plan.list(out)
	}
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("the command go is not on PATH, and it gets the modules that the code needs: install Go %s or newer, or add its folder to PATH\nNothing was written", runtime.Go.Version)
	}
	if err := plan.write(); err != nil {
		return err
	}
	fmt.Fprintln(stderr, "protoc-gen-receiver: getting Go modules; the first time this takes a while")
	lines, err := plan.generate(ctx)
	if err != nil {
		return err
	}
	plan.report(out)
	if len(lines) == 0 && plan.project.Send == "" {
		lines = []byte("protoc-gen-receiver: no RPC takes events: if a request is one, write // receiver:event above its message, and run " + plan.again() + "\n")
	}
	_, err = stderr.Write(lines)
	return err
}

// list prints the files that would be written.
func (p *plan) list(out io.Writer) error {
	for _, name := range p.names() {
		if _, err := fmt.Fprintln(out, "add", name); err != nil {
			return err
		}
	}
	for _, line := range p.left {
		fmt.Fprintln(out, line)
	}
	return nil
}

// write writes the files of the project itself.
func (p *plan) write() error {
	if err := os.MkdirAll(p.dir, 0o777); err != nil {
		return fmt.Errorf("%w\nNothing was written", err)
	}
	root, err := keep.OpenRoot(p.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return compile.Put(root, p.files)
}

// generate gets the modules that the code needs, and runs generate. It returns what
// that printed.
func (p *plan) generate(ctx context.Context) (lines []byte, err error) {
	if err := p.get(ctx); err != nil {
		return nil, p.unfinished(err)
	}
	var ignored, printed bytes.Buffer
	if err := compile.Generate(ctx, compile.Options{
		ImportPaths: []string{filepath.Join(p.dir, filepath.FromSlash(p.project.Protos))},
		Receiver:    p.options(p.dir),
	}, &ignored, &printed); err != nil {
		return nil, p.unfinished(err)
	}
	if err := p.run(ctx, "mod", "tidy"); err != nil {
		return nil, p.unfinished(err)
	}
	return printed.Bytes(), nil
}

// options returns the options of a run below a folder.
func (p *plan) options(root string) []string {
	options := []string{"root=" + root}
	if p.config.Templates != "" {
		options = append(options, "templates="+p.config.Templates)
	}
	return options
}

// unfinished returns an error that says how to go on, now that the files are there. err
// may say that nothing was written, which is true of what it is about.
func (p *plan) unfinished(err error) error {
	return fmt.Errorf("%s\nThe files of the project are there, but the module is not complete. To complete it, run this again:\n\t%s",
		strings.TrimSuffix(err.Error(), "\nNothing was written"), p.config.command())
}

// command returns the command line of a config.
func (c Config) command() string {
	words := []string{"protoc-gen-receiver", "new"}
	flag := func(name, value string) {
		if value != "" {
			words = append(words, name, quoted(value))
		}
	}
	if c.Module != "" {
		words = append(words, c.Module)
	}
	flag("--service", c.Service)
	flag("--event", c.Event)
	flag("--dir", c.Dir)
	for _, from := range c.From {
		flag("--from", from)
	}
	for _, dir := range c.ImportPaths {
		flag("-I", dir)
	}
	flag("--templates", c.Templates)
	return strings.Join(words, " ")
}

// quoted returns a word as a shell takes it.
func quoted(word string) string {
	if strings.IndexFunc(word, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:@+,", r))
	}) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// report prints what was made, and what to run next.
func (p *plan) report(out io.Writer) {
	project := p.project
	rows := [][2]string{
		{path.Join(project.Protos, project.Proto), "the RPCs and messages: change them, then " + p.again()},
		{project.Code, "yours: one file for each RPC, with its test"},
		{"cmd/" + project.Server + ", cmd/" + project.Client, "yours: the programs"},
		{"deploy/" + project.Server, "yours: Dockerfile, manifests, dashboard and alerts"},
	}
	width := 0
	for _, row := range rows {
		width = max(width, len(row[0]))
	}
	ready := "%s is ready:\n"
	if !p.fresh {
		ready = "%s has the service:\n"
	}
	fmt.Fprintf(out, ready, project.Path)
	for _, row := range rows {
		fmt.Fprintf(out, "  %-*s  %s\n", width, row[0], row[1])
	}
	if len(p.others) > 0 {
		fmt.Fprintf(out, "There are more servers, each with its client: %s\n", strings.Join(p.others, ", "))
	}
	for _, line := range p.left {
		fmt.Fprintln(out, line)
	}
	if p.fresh && !project.IsTool() {
		fmt.Fprintln(out, "This build of protoc-gen-receiver has no version that Go could get, so go.mod does not have it: the Makefile and CI take it from PATH.")
	}
	fmt.Fprintln(out, "\nNext:")
	for _, command := range p.next() {
		fmt.Fprintln(out, "  "+command)
	}
}

// again returns the command that generates, as short as it is.
func (p *plan) again() string {
	if text, err := os.ReadFile(filepath.Join(p.dir, "Makefile")); err == nil && strings.Contains(string(text), "\t"+p.project.Generate()+"\n") {
		return "make generate"
	}
	return p.project.Generate()
}

// next returns the commands to run next.
func (p *plan) next() (commands []string) {
	if p.config.Dir != "" && filepath.Clean(p.config.Dir) != "." {
		commands = append(commands, "cd "+quoted(p.config.Dir))
	}
	commands = append(commands, "go test ./...", "go run ./cmd/"+p.project.Server)
	if p.project.Send != "" {
		return append(commands, p.project.Send+"   # in another terminal")
	}
	return append(commands, "go run ./cmd/"+p.project.Client+" help   # no RPC takes events yet")
}

// UsageError is the error of a name or flag that can't be used, whatever is on disk.
type UsageError struct{ text string }

func (e *UsageError) Error() string { return e.text }

func wrongUse(format string, args ...any) error {
	return &UsageError{fmt.Sprintf(format, args...)}
}

var errNoModule = wrongUse("which module? Name it as others would import it: protoc-gen-receiver new example.com/orders")
