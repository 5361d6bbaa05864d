// Package plugin answers a request of protoc or buf: it reads the options,
// go.mod and the protos, looks at what is on disk, and renders what may be
// written.
package plugin

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/module"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/render"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/report"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/templates"
)

// Result is what a run makes of a request.
type Result struct {
	Options Options
	// GoMod is nil if there are no services and go.mod can't be read.
	GoMod *GoMod
	// Model is how the protos were read; nil if that was not possible.
	Model *model.Module
	// Files are to be written, in this order, those that are leftovers to be deleted.
	Files []keep.File
	// Lines are for the user to read, though nothing is wrong.
	Lines []report.Line
	// Missing are the modules that the files import and go.mod does not require.
	Missing []module.Version
	// OtherAPI are lines about messages with another API than the files suppose. Who
	// runs protoc-gen-go at the same time knows better than what is on disk.
	OtherAPI []string
	// Revived says that runs on other protos may write programs again, which need what
	// nothing needs by this run.
	Revived bool
	// Skipped is what is wrong where there are no services: since nothing is
	// made then, it is not an error.
	Skipped error
}

// Run decides which files a request is answered with, and writes none. With an
// error no file may be written.
func Run(request *pluginpb.CodeGeneratorRequest) (*Result, error) {
	options, err := ParseOptions(request.GetParameter())
	if err != nil {
		return nil, err
	}
	gomod, target, err := read(request, options)
	if err != nil && !hasServices(request) {
		return &Result{Options: options, GoMod: gomod, Skipped: err}, nil
	}
	if err != nil {
		return nil, err
	}
	disk := keep.At(options.Root, gomod.Path(), options.Scaffold == ScaffoldAll)
	disk.Join(target)
	disk.Publish(target, options.AllPublishers)
	if err := disk.KeepSchemas(target); err != nil {
		return nil, err
	}
	tree, err := tree(options.Templates)
	if err != nil {
		return nil, err
	}
	outputs, err := outputs(target, tree)
	if err != nil {
		return nil, err
	}
	if err := disk.Lead(target, tree.Outputs); err != nil {
		return nil, err
	}
	files, err := disk.Decide(outputs)
	if err != nil {
		return nil, render.Together(err) // and nothing else, which would hide it
	}
	leftovers, err := disk.Leftovers(target)
	if err != nil {
		return nil, err
	}
	absent, err := disk.Absent(target)
	if err != nil {
		return nil, err
	}
	result := &Result{Options: options, GoMod: gomod, Model: target, Files: append(files, leftovers...), Revived: disk.Revives()}
	result.OtherAPI = result.otherAPI(target)
	if err := result.addRuntime(target, disk); err != nil {
		return nil, err
	}
	keep.Sort(result.Files)
	if err := result.nested(); err != nil {
		return nil, err
	}
	result.Lines = slices.Concat(
		report.Of(report.GoMod, foreignMessages(target, gomod)...),
		report.Of(report.Messages, staleStubs(request, options, gomod, disk)...),
		report.Of(report.NoEvents, model.NotRecognised(target, result.writes)...),
		disk.Lines(),
		report.Of(report.NotServed, disk.NotUsed(target)...),
		report.Of(report.NotFitting, absent...),
		result.Lines)
	return result, nil
}

// writes reports whether a file is among those to be written.
func (r *Result) writes(at string) bool {
	return slices.ContainsFunc(r.Files, func(file keep.File) bool { return file.Path == at && !file.Leftover })
}

// addRuntime adds the copy of what the module's code reaches of the runtime, and
// the modules that it needs. Where this run makes no copy, one that nothing imports
// any longer is a leftover.
func (r *Result) addRuntime(target *model.Module, disk *keep.Module) error {
	if !target.Copied || len(target.Packages) == 0 {
		if leftovers := disk.RuntimeLeftovers(nil); len(leftovers) > 0 && !anyUse(r.Files, disk) {
			r.Files = append(r.Files, leftovers...)
		} else if !target.Copied {
			r.Lines = report.Of(report.NotFitting, otherRuntime(target, disk)...)
		}
		return nil
	}
	part, outputs, err := neededRuntime(target, r.Files, disk)
	if err != nil {
		return err
	}
	copied, err := disk.Decide(outputs)
	if err != nil {
		return err
	}
	r.Files = slices.Concat(r.Files, copied, disk.RuntimeLeftovers(outputs))
	r.Missing = r.GoMod.Missing(part.Requirements())
	r.Lines = append(report.Of(report.GoMod, outdated(r.GoMod, part)...), report.Of(report.NotFitting, renames(target, disk)...)...)
	return nil
}

// nested returns an error if files would be part of another module.
func (r *Result) nested() error {
	root, err := keep.OpenRoot(r.Options.Root)
	if err != nil {
		return err
	}
	defer root.Close()
	return keep.Nested(root, r.Files)
}

// Respond answers a request. What the user should know though nothing is wrong
// is handed to warn, a line at a time and grouped by cause. An error becomes part of the answer,
// which has no files then.
func Respond(request *pluginpb.CodeGeneratorRequest, warn func(line string)) *pluginpb.CodeGeneratorResponse {
	response := &pluginpb.CodeGeneratorResponse{
		SupportedFeatures: proto.Uint64(uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL |
			pluginpb.CodeGeneratorResponse_FEATURE_SUPPORTS_EDITIONS)),
		MinimumEdition: proto.Int32(int32(descriptorpb.Edition_EDITION_PROTO2)),
		MaximumEdition: proto.Int32(int32(descriptorpb.Edition_EDITION_2024)),
	}
	result, err := Run(request)
	if err == nil {
		err = result.refused()
	}
	if err != nil {
		response.Error = proto.String(err.Error())
		return response
	}
	for _, line := range report.Texts(result.lines()) {
		warn(line)
	}
	if result.Options.Check {
		return response
	}
	for _, file := range result.written() {
		response.File = append(response.File, &pluginpb.CodeGeneratorResponse_File{
			Name:    proto.String(file.Path),
			Content: proto.String(string(file.Content)),
		})
	}
	return response
}

// refused returns the error for which a plugin answers with no file: there are
// changes and the option check, or a file can't be written.
func (r *Result) refused() error {
	root, err := keep.OpenRoot(r.Options.Root)
	if err != nil {
		return err
	}
	defer root.Close()
	if r.Options.Check {
		return upToDate(root, r.written())
	}
	return keep.Unwritable(root, r.written())
}

// written returns the files that a plugin writes. It can't delete leftovers, and
// makes those that are in Go empty packages. It leaves those of the runtime as they
// are that this version has: nothing needs them, but they break nothing, and another
// run, on other protos at the same time, may need and write them.
func (r *Result) written() []keep.File {
	files := slices.DeleteFunc(slices.Clone(r.Files), func(file keep.File) bool {
		return file.Content == nil || file.Leftover && ofRuntime(file.Path)
	})
	for i := range files {
		files[i].Leftover = false // it is written over
	}
	return files
}

// lines returns what a plugin prints: the lines of the run, and what it leaves to
// the user because it can neither delete a file nor write go.mod.
func (r *Result) lines() []report.Line {
	lines := append(slices.Clone(r.Lines), report.Of(report.Messages, r.OtherAPI...)...)
	if r.Options.Check {
		return lines
	}
	unneeded := map[string]bool{}
	for _, file := range r.Files {
		switch {
		case file.Leftover && ofRuntime(file.Path):
			if dir := path.Dir(file.Path); !unneeded[dir] && !r.Revived { // or the next run says so
				unneeded[dir] = true
				lines = append(lines, report.Line{Kind: report.Gone, Text: unneededRuntime(r.Files, dir)})
			}
		case file.Leftover && file.Content != nil:
			lines = append(lines, report.Line{Kind: report.Gone, Text: file.Path + ": no longer generated: delete it (until then it is an empty package)"})
		case file.Leftover:
			lines = append(lines, report.Line{Kind: report.Gone, Text: file.Path + ": no longer generated: delete it"})
		}
	}
	if len(r.Missing) > 0 {
		lines = append(lines, report.Line{Kind: report.GoMod, Text: "go.mod does not require all modules that the code imports; for the versions that it was tested with: go get " + Versions(r.Missing)})
	}
	return lines
}

// Versions returns modules as arguments of go get.
func Versions(modules []module.Version) string {
	words := make([]string, len(modules))
	for i, one := range modules {
		words[i] = one.String()
	}
	return strings.Join(words, " ")
}

// upToDate returns the error that lists what a run would change below root.
func upToDate(root *keep.Root, files []keep.File) error {
	var changes []string
	for _, file := range files {
		change, err := file.Change(root)
		if err != nil {
			return err
		}
		if change != "" {
			changes = append(changes, "\n\t"+change+" "+file.Path)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return fmt.Errorf("not up to date with the protos; a run without check=true would%s", strings.Join(changes, ""))
}

// read reads go.mod, and makes the model of a request. With an error there is no
// go.mod if that is what is wrong, and no model, unless what is wrong are only protos
// and some of them can be read.
func read(request *pluginpb.CodeGeneratorRequest, options Options) (*GoMod, *model.Module, error) {
	gomod, err := ReadGoMod(options.Root)
	if err != nil {
		return nil, nil, err
	}
	if err := options.fits(gomod); err != nil {
		return gomod, nil, err
	}
	if err := model.CheckGoPackages(request, gomod.Path()); err != nil {
		return gomod, nil, err
	}
	plugin, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{
		FileToGenerate:  request.GetFileToGenerate(),
		Parameter:       proto.String(strings.Join(slices.Concat(options.protogen, options.levels), ",")),
		ProtoFile:       request.GetProtoFile(),
		CompilerVersion: request.GetCompilerVersion(),
	})
	if err != nil {
		return gomod, nil, model.Misread(request, err)
	}
	target := model.Module{
		Path: gomod.Path(), Go: gomod.Go(), Runtime: options.Runtime,
		Engines: options.Engines, Parts: options.Parts,
		OneProgram: options.Program, NoPrograms: options.NoPrograms, NoDeploy: options.NoDeploy,
	}
	if target.Runtime == "" {
		target.Runtime, target.Copied = target.Path+"/"+model.RuntimeDir, true
	}
	marks, err := options.marks()
	if err != nil {
		return gomod, nil, err
	}
	built, err := model.Build(target, plugin, options.Events, marks...)
	return gomod, built, err
}

// outputs returns all files that templates make for a module, by their paths.
func outputs(target *model.Module, tree *render.Tree) ([]keep.Output, error) {
	outputs, err := tree.Outputs(target)
	slices.SortFunc(outputs, func(a, b keep.Output) int { return strings.Compare(a.Path, b.Path) })
	return outputs, err
}

// tree returns our templates, with those of a user's override folder laid over
// them.
func tree(dir string) (*render.Tree, error) {
	if dir == "" {
		return ownTree()
	}
	ours, err := render.Embedded(templates.Files)
	if err != nil {
		return nil, err
	}
	theirs, unread := render.Read(dir)
	tree, err := render.Parse(ours, theirs)
	if unread != nil {
		err = errors.Join(unread, err)
	}
	return tree, err
}

// ownTree returns our templates alone. They are parsed once, for generate --watch and for
// tests, which make many runs in one process.
var ownTree = sync.OnceValues(func() (*render.Tree, error) {
	ours, err := render.Embedded(templates.Files)
	if err != nil {
		return nil, err
	}
	return render.Parse(ours, nil)
})

// foreignMessages returns a line about the packages whose messages nobody makes.
func foreignMessages(target *model.Module, gomod *GoMod) []string {
	var line string
	var others []string
	for _, pkg := range target.Packages {
		switch {
		case gomod.Provides(pkg.Messages.Path):
		case line == "":
			line = fmt.Sprintf("%s: its messages get no Go code, because their go_package %s is neither in the module %s nor in one that go.mod requires: "+
				"change go_package, or run go get for that module", pkg.Services[0].Declared(), pkg.Messages.Path, gomod.Path())
		default:
			others = append(others, pkg.Services[0].Declared())
		}
	}
	if line == "" {
		return nil
	}
	return []string{line + model.More(others)}
}

// staleStubs returns a line for each file of protoc-gen-go-grpc that is made of a proto
// which declares no service any longer: it would make none in its place, and if the
// service is in another proto now, the old file breaks the build.
func staleStubs(request *pluginpb.CodeGeneratorRequest, options Options, gomod *GoMod, disk *keep.Module) (lines []string) {
	for _, file := range request.GetProtoFile() {
		dir, ours := strings.CutPrefix(options.GoPackage(file)+"/", gomod.Path()+"/")
		if !ours || len(file.GetService()) > 0 || !slices.Contains(request.GetFileToGenerate(), file.GetName()) {
			continue
		}
		at := path.Join(dir, strings.TrimSuffix(path.Base(file.GetName()), ".proto")+"_grpc.pb.go")
		if disk.MadeOf(at) == file.GetName() {
			lines = append(lines, fmt.Sprintf("%s: it was made from %s, which declares no service any longer: delete this file", at, file.GetName()))
		}
	}
	return lines
}

func hasServices(request *pluginpb.CodeGeneratorRequest) bool {
	return slices.ContainsFunc(request.GetProtoFile(), func(file *descriptorpb.FileDescriptorProto) bool {
		return len(file.GetService()) > 0 && slices.Contains(request.GetFileToGenerate(), file.GetName())
	})
}

// fits refuses a module= that is not the module generated into, and a runtime= that the
// module may not import.
func (o Options) fits(gomod *GoMod) error {
	for _, option := range o.protogen {
		if name, found := strings.CutPrefix(option, "module="); found && name != gomod.Path() {
			return fmt.Errorf("option %q: the module is %s, by %s", option, gomod.Path(), gomod.at)
		}
	}
	above, _, internal := strings.Cut("/"+o.Runtime+"/", "/internal/")
	if above = strings.Trim(above, "/"); internal && above != gomod.Path() && !strings.HasPrefix(above, gomod.Path()+"/") && !strings.HasPrefix(gomod.Path()+"/", above+"/") {
		return fmt.Errorf("option %q: packages of %s can't import what is internal to %s", "runtime="+o.Runtime, gomod.Path(), cmp.Or(above, "Go itself"))
	}
	return nil
}
