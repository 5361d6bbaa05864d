package compile

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/module"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
)

// Usage is the help of the commands generate and explain.
const Usage = `Usage: protoc-gen-receiver generate [flags] [FILE.proto ...]
       protoc-gen-receiver explain [flags] [FILE.proto ...]

generate compiles protos, runs protoc-gen-go, protoc-gen-go-grpc and
protoc-gen-receiver on them, and writes their files. If there is any error it
writes nothing. It deletes files of protoc-gen-receiver that are no longer made.
explain writes nothing. It prints how each RPC is read and why: whether it takes
events, which field has which role of an event, and which files the RPC gets.
Without FILE.proto they take every .proto below the folders of -I.

Flags:
  -I DIR, --proto_path=DIR   folder to find protos in; may be repeated (default .)
  --receiver_opt=NAME=VALUE  option of protoc-gen-receiver; may be repeated
  --go_opt=NAME=VALUE        option of protoc-gen-go; may be repeated
  --go-grpc_opt=NAME=VALUE   option of protoc-gen-go-grpc; may be repeated

Flags of generate only:
  --check                    write nothing; list the files that would change, and
                             exit with code 1 if there are any
  --diff                     like --check, and also show how they would change
  --watch                    generate, and again each time that a proto is saved; print
                             what has changed in meaning, and go on after mistakes
  --poll                     with --watch: look at the files a few times a second,
                             and do not rely on the system to report changes

protoc-gen-go and protoc-gen-go-grpc are the module's tools (go get -tool), else
those on PATH. By default they get module=PATH, with the module's path from go.mod.
`

// Generate runs the command generate. It prints warnings on stderr, and what
// --check and --diff find on out. The error is [flag.ErrHelp] if args ask for help.
func Generate(ctx context.Context, args []string, out, stderr io.Writer) error {
	command, err := parseCommand("generate", args)
	switch {
	case err != nil:
		return err
	case command.watch:
		return command.keepUp(ctx, out, stderr)
	}
	warn := func(line string) { fmt.Fprintln(stderr, "protoc-gen-receiver:", line) }
	done, err := command.generate(ctx, out, warn)
	if err != nil {
		return err
	}
	for _, line := range done.did {
		warn(line)
	}
	return nil
}

// Explain runs the command explain. It takes the arguments of generate, and prints
// how each RPC is read and which files it would get. It returns the error that
// generate would end with, except one of protoc-gen-go and protoc-gen-go-grpc, which
// it does not run.
func Explain(ctx context.Context, args []string, out io.Writer) error {
	command, err := parseCommand("explain", args)
	if err != nil {
		return err
	}
	if err := command.compile(ctx); err != nil {
		return err
	}
	result, err := plugin.Explain(command.request, out)
	err = errors.Join(command.unread, err)
	switch {
	case err != nil:
		return err
	case result.GoMod == nil:
		return result.Skipped
	}
	if err := command.checkGoPackages(result); err != nil {
		return err
	}
	root, err := keep.OpenRoot(result.Options.Root)
	if err != nil {
		return err
	}
	defer root.Close()
	changed, err := changed(root, result.Files)
	if err != nil {
		return err
	}
	return keep.Unwritable(root, changed)
}

// command is a parsed command line and the compiled protos.
type command struct {
	importPaths list
	files       []string         // as they are named; none for all
	options     list             // of protoc-gen-receiver
	toolOptions map[string]*list // those of protoc-gen-go and protoc-gen-go-grpc
	check, diff bool
	watch, poll bool

	request  *pluginpb.CodeGeneratorRequest
	opened   sync.Map // paths of the files that were opened or looked for to compile them
	unread   error    // comments that the request does not contain
	programs programs
}

// parseCommand parses a command line.
func parseCommand(name string, args []string) (*command, error) {
	c := &command{toolOptions: map[string]*list{"protoc-gen-go": {}, "protoc-gen-go-grpc": {}}}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Var(&c.importPaths, "I", "")
	flags.Var(&c.importPaths, "proto_path", "")
	flags.Var(&c.options, "receiver_opt", "")
	flags.Var(c.toolOptions["protoc-gen-go"], "go_opt", "")
	flags.Var(c.toolOptions["protoc-gen-go-grpc"], "go-grpc_opt", "")
	if name == "generate" {
		flags.BoolVar(&c.check, "check", false, "")
		flags.BoolVar(&c.diff, "diff", false, "")
		flags.BoolVar(&c.watch, "watch", false, "")
		flags.BoolVar(&c.poll, "poll", false, "")
	}
	files, err := parse(flags, args)
	if err != nil {
		return nil, err
	}
	if len(c.importPaths) == 0 {
		c.importPaths = list{"."}
	}
	c.files = files
	return c, c.contradicts()
}

// contradicts returns an error if flags exclude each other.
func (c *command) contradicts() error {
	switch {
	case c.poll && !c.watch:
		return errors.New("--poll says how to watch: use it with --watch")
	case c.watch && (c.check || c.diff):
		return errors.New("--watch writes files, and --check and --diff write none: leave one of them out")
	}
	return nil
}

// compile compiles the protos, as they are now.
func (c *command) compile(ctx context.Context) error {
	var files []string
	var err error
	if len(c.files) == 0 {
		files, err = findProtos(c.importPaths)
	} else {
		files, err = importNames(c.importPaths, c.files)
	}
	if err != nil {
		return err
	}
	c.opened.Clear()
	c.request, err = request(ctx, c.importPaths, files, func(path string) { c.opened.Store(path, true) })
	if err != nil {
		return err
	}
	c.request.Parameter = proto.String(strings.Join(append(slices.Clone(c.options), c.apiLevels()...), ","))
	c.unread = unread(c.request, c.importPaths)
	return nil
}

// unread complains about comments for this plugin that a compiler does not pass on.
func unread(request *pluginpb.CodeGeneratorRequest, importPaths []string) error {
	if options, err := plugin.ParseOptions(request.GetParameter()); err != nil || options.Events != model.EventsAuto {
		return nil // in which case comments are not read
	}
	var all []error
	for _, file := range request.GetProtoFile() {
		if !slices.Contains(request.GetFileToGenerate(), file.GetName()) {
			continue
		}
		for _, dir := range importPaths {
			if text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file.GetName()))); err == nil {
				all = append(all, model.Unread(file, string(text)))
				break
			}
		}
	}
	return errors.Join(all...)
}

// apiLevels returns the options of protoc-gen-go that choose the API of messages:
// what is generated for them depends on it.
func (c *command) apiLevels() (options []string) {
	for option := range strings.SplitSeq(c.toolOptions["protoc-gen-go"].String(), ",") {
		if strings.HasPrefix(option, "default_api_level=") || strings.HasPrefix(option, "apilevelM") {
			options = append(options, option)
		}
	}
	return options
}

// parse parses flags and returns the files. As in protoc, flags may follow files,
// and -I may be written without a space before its folder.
func parse(flags *flag.FlagSet, args []string) (files []string, err error) {
	for len(args) > 0 {
		if folder, ok := strings.CutPrefix(args[0], "-I"); ok && folder != "" && !strings.HasPrefix(folder, "=") {
			args = slices.Concat([]string{"-I", folder}, args[1:])
		}
		if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, err
		} else if err != nil {
			return nil, fmt.Errorf("%w (an option is given as --receiver_opt=NAME=VALUE; see protoc-gen-receiver help)", err)
		}
		if args = flags.Args(); len(args) > 0 {
			files, args = append(files, args[0]), args[1:]
		}
	}
	return files, nil
}

// list is the value of a flag that may be repeated.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

// outcome is what a run has done.
type outcome struct {
	model *model.Module // how the protos were read
	gomod []byte        // what was written to go.mod; nil for nothing
	did   []string      // lines about what it did, while warnings are about what is

	ofMessages []string // the warnings of checkMessages
}

// generate compiles the protos and runs all plugins. Then it writes their files, or with
// --check shows what it would write.
func (c *command) generate(ctx context.Context, out io.Writer, warn func(line string)) (*outcome, error) {
	if err := c.compile(ctx); err != nil {
		return nil, err
	}
	result, err := plugin.Run(c.request)
	if err := errors.Join(c.unread, err); err != nil {
		return nil, err
	}
	if result.GoMod == nil {
		return &outcome{}, result.Skipped
	}
	if err := c.checkGoPackages(result); err != nil {
		return nil, err
	}
	for _, line := range result.Lines {
		warn(line)
	}
	pbFiles, err := c.runTools(ctx, result)
	if err != nil {
		return nil, err
	}
	root, err := keep.OpenRoot(result.Options.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := keep.Nested(root, pbFiles); err != nil {
		return nil, err
	}
	done := &outcome{model: result.Model, ofMessages: c.checkMessages(result, root, pbFiles)}
	for _, line := range done.ofMessages {
		warn(line)
	}
	files := append(result.Files, pbFiles...)
	if c.check || c.diff || result.Options.Check {
		return done, c.compare(root, files, result.Missing, out)
	}
	if len(result.Missing) > 0 {
		gomod, err := result.GoMod.Require(result.Missing)
		if err != nil {
			return nil, err
		}
		files, done.gomod = append(files, gomod), gomod.Content
	}
	keep.Sort(files)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := put(root, files); err != nil {
		return nil, err
	}
	done.did = deleted(files)
	if len(result.Missing) > 0 {
		done.did = append(done.did, "go.mod: added the versions that the generated code was tested with: "+plugin.Versions(result.Missing))
	}
	return done, nil
}

// deleted returns a line for each file that is deleted, and one for all of the
// runtime: which those are depends on what the module's code imports.
func deleted(files []keep.File) (lines []string) {
	ofRuntime := 0
	for _, file := range files {
		switch {
		case !file.Leftover:
		case strings.HasPrefix(file.Path, model.RuntimeDir+"/"):
			ofRuntime++
		default:
			lines = append(lines, file.Path+": deleted, because it is no longer generated")
		}
	}
	if ofRuntime > 0 {
		lines = append(lines, fmt.Sprintf("%s: deleted %d files that nothing needs any longer", model.RuntimeDir, ofRuntime))
	}
	return lines
}

// runTools runs protoc-gen-go and protoc-gen-go-grpc, and returns their files.
func (c *command) runTools(ctx context.Context, result *plugin.Result) (files []keep.File, err error) {
	options, gomod := result.Options, result.GoMod
	request := proto.CloneOf(c.request)
	request.FileToGenerate = protosOfModule(request, gomod.Path(), options)
	for _, tool := range tools {
		program, err := c.programs.find(ctx, tool, options.Root, gomod)
		if err != nil {
			return nil, err
		}
		own := *c.toolOptions[tool.name()]
		if tool.name() == "protoc-gen-go" {
			own = append(options.APILevels(), own...)
		}
		response, err := tool.run(ctx, program, request, options.ForGo(gomod.Path(), own))
		if err != nil {
			return nil, err
		}
		for _, file := range response.GetFile() {
			files = append(files, keep.File{Path: file.GetName(), Content: []byte(file.GetContent())})
		}
	}
	return files, nil
}

// checkGoPackages returns an error if the messages of a service are neither in the
// module nor in one that go.mod requires, so that the service could not be built.
func (c *command) checkGoPackages(result *plugin.Result) error {
	options, gomod := result.Options, result.GoMod
	var complaints model.Complaints
	for _, file := range c.request.GetProtoFile() {
		goPackage := options.GoPackage(file)
		if len(file.GetService()) == 0 || !slices.Contains(c.request.GetFileToGenerate(), file.GetName()) || gomod.Provides(goPackage) {
			continue
		}
		complaints.OfGoPackage("foreign "+owner(goPackage), file, "go_package %q is neither in the module %s nor in one that go.mod requires: change it, or run go get for that module", goPackage, gomod.Path())
	}
	if len(complaints) == 0 {
		return nil
	}
	return complaints
}

// owner returns the beginning of an import path that is likely to be one module, or
// modules of one owner.
func owner(importPath string) string {
	parts := strings.SplitN(importPath, "/", 3)
	return path.Join(parts[:min(2, len(parts))]...)
}

// compare shows what a run would change. It returns an error if there is a change.
func (c *command) compare(root *keep.Root, files []keep.File, missing []module.Version, out io.Writer) error {
	changes, err := show(root, files, c.diff, out)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		changes++
		fmt.Fprintln(out, "change go.mod: require", plugin.Versions(missing))
	}
	if changes > 0 {
		return fmt.Errorf("not up to date with the protos (files that would change: %d): run protoc-gen-receiver generate", changes)
	}
	return nil
}

// protosOfModule returns the protos whose messages belong to the module. The
// messages of other modules have Go code already.
func protosOfModule(request *pluginpb.CodeGeneratorRequest, modulePath string, options plugin.Options) (files []string) {
	for _, file := range request.GetProtoFile() {
		if !slices.Contains(request.GetFileToGenerate(), file.GetName()) {
			continue
		}
		goPackage := options.GoPackage(file)
		if goPackage == modulePath || strings.HasPrefix(goPackage, modulePath+"/") {
			files = append(files, file.GetName())
		}
	}
	return files
}
