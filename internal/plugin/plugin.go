// Package plugin answers a request of protoc or buf: it reads the options and
// the protos, looks at what is on disk, and renders what may be written.
package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/render"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/templates"
)

// Respond answers a request. What the user should know though nothing is wrong
// is told, a line at a time. An error becomes part of the answer, which has no
// files then.
func Respond(request *pluginpb.CodeGeneratorRequest, tell func(line string)) *pluginpb.CodeGeneratorResponse {
	response := &pluginpb.CodeGeneratorResponse{
		SupportedFeatures: proto.Uint64(uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL |
			pluginpb.CodeGeneratorResponse_FEATURE_SUPPORTS_EDITIONS)),
		MinimumEdition: proto.Int32(int32(descriptorpb.Edition_EDITION_PROTO2)),
		MaximumEdition: proto.Int32(int32(descriptorpb.Edition_EDITION_2024)),
	}
	options, err := ParseOptions(request.GetParameter())
	var files []keep.File
	if err == nil {
		files, err = generate(request, options, tell)
	}
	if err == nil && options.Check {
		files, err = nil, upToDate(options.Root, files)
	}
	if err == nil {
		err = keep.Writable(options.Root, files)
	}
	if err != nil {
		response.Error = proto.String(err.Error())
		return response
	}
	for _, file := range files {
		if file.Gone {
			tell(file.Path + ": nothing is made of it any more: delete it (it is left as an empty package)")
		}
		response.File = append(response.File, &pluginpb.CodeGeneratorResponse_File{
			Name:    proto.String(file.Path),
			Content: proto.String(string(file.Content)),
		})
	}
	return response
}

// Generate returns the files that a run writes, or would write with the option
// check; those that are gone may be deleted. With an error there are none.
func Generate(request *pluginpb.CodeGeneratorRequest, tell func(line string)) ([]keep.File, error) {
	options, err := ParseOptions(request.GetParameter())
	if err != nil {
		return nil, err
	}
	return generate(request, options, tell)
}

func generate(request *pluginpb.CodeGeneratorRequest, options Options, tell func(line string)) ([]keep.File, error) {
	gomod, err := ReadGoMod(options.Root)
	if err == nil {
		err = options.fits(gomod)
	}
	var into *model.Module
	if err == nil {
		into, err = read(request, options, gomod)
	}
	if err != nil && !hasServices(request) {
		return nil, nil // whatever is wrong, nothing is to be made
	}
	if err != nil {
		return nil, err
	}
	onDisk := keep.At(options.Root, gomod.Path())
	onDisk.All = options.Scaffold == ScaffoldAll
	var told []string
	onDisk.Told = func(line string) { told = append(told, line) }
	onDisk.Join(into)
	outputs, err := options.outputs(into)
	if err != nil {
		return nil, err
	}
	files, err := onDisk.Files(into, outputs)
	if err != nil {
		return nil, render.Together(err) // and nothing else, which would hide it
	}
	for _, pkg := range into.Packages {
		if !gomod.Provides(pkg.Messages.Path) {
			tell(fmt.Sprintf("%s: nothing is made of its messages, since their go_package %s is neither in the module %s nor in one that go.mod requires: "+
				"change go_package, or go get that module", pkg.Services[0].Declared(), pkg.Messages.Path, gomod.Path()))
		}
	}
	for _, line := range told {
		tell(line)
	}
	return files, nil
}

// upToDate is the error that lists what a run would change below root.
func upToDate(root string, files []keep.File) error {
	var changes []string
	for _, file := range files {
		file.Gone = false // a plugin can only empty it
		if change := file.Change(root); change != "" {
			changes = append(changes, "\n\t"+change+" "+file.Path)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return fmt.Errorf("not up to date with the protos; a run without check=true would%s", strings.Join(changes, ""))
}

// Untested are the modules that the files of a run import and its go.mod does
// not require, at the versions that they were tested with.
func Untested(parameter string) ([]module.Version, error) {
	options, err := ParseOptions(parameter)
	if err != nil {
		return nil, err
	}
	gomod, err := ReadGoMod(options.Root)
	if err != nil {
		return nil, err
	}
	return options.Missing(gomod), nil
}

// Missing are the modules that the files of a run import and go.mod does not
// require.
func (o Options) Missing(gomod *GoMod) []module.Version {
	if o.Runtime != "" {
		return nil
	}
	needs := slices.DeleteFunc(runtime.Requirements(), func(r runtime.Requirement) bool {
		return r.Path == "github.com/nats-io/nats.go" && !slices.Contains(o.Engines, "nats")
	})
	return gomod.Missing(needs)
}

// read makes the model of a request.
func read(request *pluginpb.CodeGeneratorRequest, options Options, gomod *GoMod) (*model.Module, error) {
	if err := model.CheckGoPackages(request, gomod.Path()); err != nil {
		return nil, err
	}
	into := model.Module{Path: gomod.Path(), Runtime: options.Runtime, Engines: options.Engines}
	if into.Runtime == "" {
		into.Runtime, into.Copied = into.Path+"/"+model.RuntimeDir, true
	}
	plugin, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{
		FileToGenerate:  request.GetFileToGenerate(),
		Parameter:       proto.String(strings.Join(options.protogen, ",")),
		ProtoFile:       request.GetProtoFile(),
		CompilerVersion: request.GetCompilerVersion(),
	})
	if err != nil {
		return nil, model.Misread(request, err)
	}
	return model.Build(into, plugin, options.Events)
}

// outputs are all files of the module, the copy of the runtime among them.
func (o Options) outputs(into *model.Module) ([]keep.Output, error) {
	tree, err := tree(o.Templates)
	if err != nil {
		return nil, err
	}
	outputs, err := tree.Outputs(into)
	if err == nil && into.Copied && len(into.Packages) > 0 {
		var copied []keep.Output
		copied, err = copies(into, o.Engines)
		outputs = append(outputs, copied...)
	}
	slices.SortFunc(outputs, func(a, b keep.Output) int { return strings.Compare(a.Path, b.Path) })
	return outputs, err
}

// tree is that of our templates, with those of a user's folder laid over it.
func tree(dir string) (*render.Tree, error) {
	ours, err := render.Embedded(templates.Files)
	if err != nil {
		return nil, err
	}
	if dir == "" {
		return render.Parse(ours, nil)
	}
	house, unread := render.Read(dir)
	tree, err := render.Parse(ours, house)
	if unread != nil {
		err = errors.Join(unread, err)
	}
	return tree, err
}

// copies are the files of the runtime, as files of the module.
func copies(into *model.Module, engines []string) ([]keep.Output, error) {
	var outputs []keep.Output
	err := fs.WalkDir(runtime.Source, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || !runtime.Needed(name, engines) {
			return err
		}
		outputs = append(outputs, keep.Output{
			Path:  path.Join(model.RuntimeDir, name),
			Owner: keep.Ours,
			Render: func() ([]byte, error) {
				text, err := fs.ReadFile(runtime.Source, name)
				moved := strings.ReplaceAll(string(text), `"`+runtime.Path+`/`, `"`+into.Runtime+`/`)
				return []byte("// " + keep.Marker + "\n\n" + moved), err
			},
		})
		return nil
	})
	return outputs, err
}

func hasServices(request *pluginpb.CodeGeneratorRequest) bool {
	generate := map[string]bool{}
	for _, name := range request.GetFileToGenerate() {
		generate[name] = true
	}
	for _, file := range request.GetProtoFile() {
		if generate[file.GetName()] && len(file.GetService()) > 0 {
			return true
		}
	}
	return false
}

// fits refuses a module= that is not the module generated into.
func (o Options) fits(gomod *GoMod) error {
	for _, option := range o.protogen {
		if name, found := strings.CutPrefix(option, "module="); found && name != gomod.Path() {
			return fmt.Errorf("option %q: the module is %s, by %s", option, gomod.Path(), gomod.at)
		}
	}
	return nil
}
