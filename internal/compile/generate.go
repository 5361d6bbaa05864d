package compile

import (
	"context"
	"errors"
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
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/report"
)

// Options are what generate and explain are asked for.
type Options struct {
	// ImportPaths are the folders to find protos in; none is the working folder.
	ImportPaths []string
	// Files are protos; none is every proto below ImportPaths.
	Files []string
	// Receiver, Go and GoGRPC are options of protoc-gen-receiver, protoc-gen-go and
	// protoc-gen-go-grpc, as name=value.
	Receiver, Go, GoGRPC []string
	// Check has nothing written, and what would change listed; Diff shows it as well.
	// Explain ignores both.
	Check, Diff bool
}

// Generate compiles protos, runs the plugins on them, and writes their files. It
// prints warnings on stderr, and what Check and Diff find on out.
func Generate(ctx context.Context, options Options, out, stderr io.Writer) error {
	done, err := newCommand(options).generate(ctx, out)
	for _, line := range report.Texts(done.lines) {
		fmt.Fprintln(stderr, "protoc-gen-receiver:", line)
	}
	return err
}

// Explain prints how each RPC is read and which files it would get. It returns the
// error that Generate would end with, except one of protoc-gen-go and
// protoc-gen-go-grpc, which it does not run.
func Explain(ctx context.Context, options Options, out io.Writer) error {
	command := newCommand(options)
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

// command is what was asked for, and the compiled protos.
type command struct {
	Options
	request  *pluginpb.CodeGeneratorRequest
	opened   sync.Map // paths of the files that were opened or looked for to compile them
	unread   error    // comments that the request does not contain
	programs programs
}

func newCommand(options Options) *command {
	if len(options.ImportPaths) == 0 {
		options.ImportPaths = []string{"."}
	}
	return &command{Options: options}
}

// compile compiles the protos, as they are now.
func (c *command) compile(ctx context.Context) error {
	parameter := strings.Join(append(slices.Clone(c.Receiver), c.apiLevels()...), ",")
	if _, err := plugin.ParseOptions(parameter); err != nil {
		return err
	}
	var files []string
	var err error
	if len(c.Files) == 0 {
		files, err = findProtos(c.ImportPaths)
	} else {
		files, err = ImportNames(c.ImportPaths, c.Files)
	}
	if err != nil {
		return err
	}
	c.opened.Clear()
	if c.request, err = request(ctx, c.ImportPaths, files, func(path string) { c.opened.Store(path, true) }); err != nil {
		return err
	}
	c.request.Parameter = proto.String(parameter)
	c.unread = unread(c.request, c.ImportPaths)
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
	for option := range strings.SplitSeq(strings.Join(c.Go, ","), ",") {
		if strings.HasPrefix(option, "default_api_level=") || strings.HasPrefix(option, "apilevelM") {
			options = append(options, option)
		}
	}
	return options
}

// outcome is what a run has done.
type outcome struct {
	model *model.Module // how the protos were read; nil if that was not possible
	gomod []byte        // what was written to go.mod; nil for nothing
	lines []report.Line // to print, also with an error

	ofMessages []report.Line // those of checkMessages
}

// generate compiles the protos and runs all plugins. Then it writes their files, or with
// --check shows what it would write.
func (c *command) generate(ctx context.Context, out io.Writer) (done outcome, _ error) {
	if err := c.compile(ctx); err != nil {
		return done, err
	}
	result, err := plugin.Run(c.request)
	if err := errors.Join(c.unread, err); err != nil {
		return done, err
	}
	if result.GoMod == nil {
		return done, result.Skipped
	}
	if err := c.checkGoPackages(result); err != nil {
		return done, err
	}
	done.model, done.lines = result.Model, slices.Clone(result.Lines)
	pbFiles, err := c.runTools(ctx, result)
	if err != nil {
		return done, err
	}
	root, err := keep.OpenRoot(result.Options.Root)
	if err != nil {
		return done, err
	}
	defer root.Close()
	if err := keep.Nested(root, pbFiles); err != nil {
		return done, err
	}
	done.ofMessages = report.Of(report.Messages, c.checkMessages(result, root, pbFiles)...)
	done.lines = append(done.lines, done.ofMessages...)
	files := append(result.Files, pbFiles...)
	if c.Check || c.Diff || result.Options.Check {
		return done, c.compare(root, files, result.Missing, out)
	}
	if len(result.Missing) > 0 {
		gomod, err := result.GoMod.Require(result.Missing)
		if err != nil {
			return done, err
		}
		files, done.gomod = append(files, gomod), gomod.Content
	}
	keep.Sort(files)
	if err := ctx.Err(); err != nil {
		return done, err
	}
	if err := Put(root, files); err != nil {
		return done, err
	}
	done.lines = append(done.lines, report.Of(report.Done, deleted(files)...)...)
	if len(result.Missing) > 0 {
		done.lines = append(done.lines, report.Line{Kind: report.Done, Text: "go.mod: added the versions that the generated code was tested with (go mod tidy then completes go.sum): " + plugin.Versions(result.Missing)})
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
		own := c.GoGRPC
		if tool.name() == "protoc-gen-go" {
			own = slices.Concat(options.APILevels(), c.Go)
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
	changes, err := show(root, files, c.Diff, out)
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
