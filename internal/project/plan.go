package project

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/render"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/report"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/templates"
)

// plan is what a run of new is going to do.
type plan struct {
	config  Config
	dir     string        // of the module
	gomod   *modfile.File // that is there; nil if there is none
	fresh   bool          // whether there is neither Go code nor a proto yet
	project *model.Project

	// Of the protos that are given:
	request *pluginpb.CodeGeneratorRequest // nil if one is written instead
	params  []string                       // options by which they get their Go packages
	copies  []keep.File                    // of them in the module

	protos []keep.File // that new itself writes, copies among them
	files  []keep.File // that new itself writes, protos among them
	made   []string    // paths of what generate writes then
	needs  []string    // modules that the code needs, at their versions
	others []string    // folders of servers besides the project's
	advice []string    // lines about how the protos are read
	left   []string    // lines about what was left as it was, or was not
}

// self is the package of this program.
const self = "github.com/protoc-gen-receiver/protoc-gen-receiver/cmd/protoc-gen-receiver"

// prepare decides what to do, and writes nothing into the module's folder.
func prepare(ctx context.Context, config Config) (*plan, error) {
	p := &plan{config: config, dir: filepath.Clean(config.Dir)}
	modulePath, err := p.module()
	if err != nil {
		return nil, err
	}
	if err := p.begin(ctx, modulePath); err != nil {
		return nil, err
	}
	if p.fresh, err = p.isFresh(); err != nil {
		return nil, err
	}
	stage, err := os.MkdirTemp("", "protoc-gen-receiver-new-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(stage)
	if err := p.render(ctx, stage); err != nil {
		return nil, err
	}
	if err := p.clear(); err != nil {
		return nil, err
	}
	return p, p.verify(ctx, stage)
}

// begin names the project, and its protos.
func (p *plan) begin(ctx context.Context, modulePath string) (err error) {
	if len(p.config.From) > 0 {
		err = p.given(ctx, modulePath)
	} else if p.project, err = model.Draft(modulePath, p.config.Service, p.config.Event); err != nil {
		err = wrongUse("%v", err)
	} else {
		p.project.Protos, err = p.folder()
	}
	if err != nil {
		return err
	}
	p.project.Go = runtime.Go.Version
	p.project.Plugin = []string{"protoc-gen-receiver"}
	if p.config.Version != "" || p.has(self) {
		p.project.Plugin = []string{"go", "tool", "protoc-gen-receiver"}
	}
	return nil
}

// render makes the files of the project, the proto first: what the others say depends
// on how it is read.
func (p *plan) render(ctx context.Context, stage string) error {
	tree, err := p.templates()
	if err != nil {
		return err
	}
	outputs, err := tree.Drafts(p.project)
	if err != nil {
		return err
	}
	var protos, others []keep.Output
	for _, output := range outputs {
		switch {
		case path.Ext(output.Path) == ".proto":
			protos = append(protos, output)
		case p.fresh && (output.Path != "go.mod" || p.gomod == nil):
			others = append(others, output)
		}
	}
	drafts, err := files(protos)
	if err != nil {
		return err
	}
	p.protos = append(p.copies, drafts...)
	if err := p.read(ctx, stage); err != nil {
		return err
	}
	p.files, err = files(others)
	p.files = append(p.files, p.protos...) // last: where they are, all else was written
	return err
}

// templates returns our templates, with those of an override folder laid over them.
func (p *plan) templates() (*render.Tree, error) {
	ours, err := render.Embedded(templates.Files)
	if err != nil {
		return nil, err
	}
	var theirs []render.File
	if dir := p.config.Templates; dir != "" {
		if theirs, err = render.Read(dir); err != nil {
			return nil, err
		}
		if p.project.Templates = within(p.dir, dir); p.project.Templates == "" {
			p.left = append(p.left, fmt.Sprintf("%s is not in the module's folder, so that only this run uses it: copy it there, and give every later run --receiver_opt=templates=DIR", dir))
		}
	}
	return render.Parse(ours, theirs)
}

// files renders outputs.
func files(outputs []keep.Output) (files []keep.File, err error) {
	for _, output := range outputs {
		text, err := output.Render()
		if err != nil {
			return nil, err
		}
		if text != nil {
			files = append(files, keep.File{Path: output.Path, Content: text})
		}
	}
	return files, nil
}

// read compiles the protos in a module of their own in stage, to see how they are read,
// and what generate makes of them.
func (p *plan) read(ctx context.Context, stage string) error {
	files := append(slices.Clone(p.protos), keep.File{Path: "go.mod", Content: []byte("module " + p.project.Path + "\n\ngo " + runtime.Go.Version + "\n")})
	for _, file := range files {
		at := filepath.Join(stage, filepath.FromSlash(file.Path))
		if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(at, file.Content, 0o666); err != nil {
			return err
		}
	}
	request := p.request
	if request == nil {
		var err error
		if request, err = compile.Request(ctx, []string{filepath.Join(stage, filepath.FromSlash(p.project.Protos))}, []string{p.project.Proto}); err != nil {
			return err
		}
	}
	request = proto.CloneOf(request)
	request.Parameter = proto.String(strings.Join(append(p.options(stage), p.params...), ","))
	result, err := plugin.Run(request)
	if err != nil {
		return err
	}
	for _, file := range result.Files {
		p.made = append(p.made, file.Path)
	}
	p.advice = report.Texts(result.Lines)
	for _, missing := range result.Missing {
		p.needs = append(p.needs, missing.String())
	}
	return p.describe(request)
}

// verify returns the error with which generate would end, given all protos that will be
// in the module.
func (p *plan) verify(ctx context.Context, stage string) error {
	root := stage
	if p.gomod != nil {
		root = p.dir
	}
	options := compile.Options{Receiver: p.options(root)}
	for _, dir := range []string{stage, p.dir} {
		if at := filepath.Join(dir, filepath.FromSlash(p.project.Protos)); isFolder(at) {
			options.ImportPaths = append(options.ImportPaths, at)
		}
	}
	if err := compile.Explain(ctx, options, io.Discard); err != nil {
		return fmt.Errorf("%w\nNothing was written", err)
	}
	return nil
}

// describe notes how the protos of a request are read.
func (p *plan) describe(request *pluginpb.CodeGeneratorRequest) error {
	request = proto.CloneOf(request)
	request.Parameter = proto.String(strings.Join(p.params, ","))
	protos, err := protogen.Options{}.New(request)
	if err != nil {
		return err
	}
	target, err := model.Build(model.Module{Path: p.project.Path}, protos, model.EventsAuto)
	if err != nil {
		return err
	}
	for _, file := range protos.Files {
		if dir, ok := strings.CutPrefix(string(file.GoImportPath), p.project.Path+"/"); file.Generate && ok {
			p.made = append(p.made, path.Join(dir, path.Base(file.GeneratedFilenamePrefix)+".pb.go"))
			if len(file.Services) > 0 {
				p.made = append(p.made, path.Join(dir, path.Base(file.GeneratedFilenamePrefix)+"_grpc.pb.go"))
			}
		}
	}
	service, method := shown(target)
	app := service.Package.Program.Name
	for _, program := range target.Programs {
		if program.Name != app {
			p.others = append(p.others, "cmd/"+program.Name+"-server")
		}
	}
	p.project.App, p.project.Server, p.project.Client = app, app+"-server", app+"-client"
	p.project.Code = service.Impl().Dir
	p.project.Events = target.UsesEvents()
	p.project.Send = send(p.project.Client, method)
	for _, event := range target.EventTypes() {
		if event.Source == nil && event.Subject == nil {
			p.left = append(p.left, fmt.Sprintf("%s: no field says where an event %s comes from, or what it is about: write // receiver:source or // receiver:subject after one, or else both are empty (protoc-gen-receiver explain shows how fields are read)",
				event.At, event.Name))
		}
	}
	return nil
}

// names returns the paths of all files that a run writes.
func (p *plan) names() []string {
	names := slices.Clone(p.made)
	for _, file := range p.files {
		names = append(names, file.Path)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
