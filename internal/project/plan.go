package project

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/render"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/templates"
)

// plan is what a run of new is going to do.
type plan struct {
	config  Config
	dir     string // of the module
	project *model.Project
	gomod   *modfile.File                  // that is there; nil if there is none
	fresh   bool                           // whether there is neither Go code nor a proto yet
	request *pluginpb.CodeGeneratorRequest // the protos that are given; nil if one is written
	params  []string                       // options by which the given protos get their Go packages
	copies  []keep.File                    // of the given protos
	files   []keep.File                    // that new itself writes
	made    []string                       // paths of what generate writes then
	needs   []string                       // modules that the code needs, at their versions
	others  []string                       // folders of servers besides the project's
	left    []string                       // lines about files that were left as they were
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
	} else if p.project, err = model.Draft(modulePath, p.config.Service, p.config.Event); err == nil {
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

// has reports whether the go.mod that is there has a tool.
func (p *plan) has(tool string) bool {
	return p.gomod != nil && slices.ContainsFunc(p.gomod.Tool, func(t *modfile.Tool) bool { return t.Path == tool })
}

// folder returns the folder of the module's protos: the first one of its buf.yaml, else
// proto.
func (p *plan) folder() (string, error) {
	const usual = "proto"
	at := filepath.Join(p.dir, "buf.yaml")
	text, err := os.ReadFile(at)
	if errors.Is(err, fs.ErrNotExist) {
		return usual, nil
	}
	if err != nil {
		return "", err
	}
	var config struct {
		Version string
		Modules []struct{ Path string }
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		return "", fmt.Errorf("%s can't be read, and it says where protos are: %w", at, err)
	}
	switch {
	case config.Version != "v2", len(config.Modules) == 0:
		return ".", nil
	case !filepath.IsLocal(config.Modules[0].Path):
		return "", fmt.Errorf("%s: its first module, in %s, is not below the folder: run this where it is, or name it in another order", at, config.Modules[0].Path)
	}
	return path.Clean(config.Modules[0].Path), nil
}

// module returns the path of the module, after the go.mod that is there.
func (p *plan) module() (string, error) {
	if strings.Contains(p.dir, ",") {
		return "", fmt.Errorf("--dir %s: a comma separates options, so the folder's name must not have one: go there, and leave out --dir", p.dir)
	}
	at := filepath.Join(p.dir, "go.mod")
	text, err := os.ReadFile(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", err
	default:
		if p.gomod, err = modfile.Parse(at, text, nil); err != nil {
			return "", err
		}
		if p.gomod.Module == nil {
			return "", fmt.Errorf("%s names no module: add the line module PATH", at)
		}
		if own := p.gomod.Module.Mod.Path; p.config.Module != "" && p.config.Module != own {
			return "", fmt.Errorf("%s is that of the module %s, not of %s: to add a service to it, leave the module out; to make another module, give its folder with --dir", at, own, p.config.Module)
		}
		return p.gomod.Module.Mod.Path, nil
	}
	if p.config.Module == "" {
		return "", errNoModule
	}
	if err := module.CheckImportPath(p.config.Module); err != nil {
		return "", fmt.Errorf("%s can't be the path of a module (%w): want one such as example.com/orders", p.config.Module, err)
	}
	if _, _, ok := module.SplitPathVersion(p.config.Module); !ok {
		return "", fmt.Errorf("%s can't be the path of a module, because of the version at its end: want one such as example.com/orders or example.com/orders/v2", p.config.Module)
	}
	if isGos(p.config.Module) {
		return "", fmt.Errorf("%s can't be the path of a module, because it begins like a package of Go itself: want one such as example.com/%[1]s", p.config.Module)
	}
	if err := p.inWorkspace(); err != nil {
		return "", err
	}
	return p.config.Module, p.notWithin()
}

// inWorkspace returns an error if the folder is in that of a go.work that does not use
// it: there the Go command would refuse to build the module.
func (p *plan) inWorkspace() error {
	dir, err := filepath.Abs(p.dir)
	if err != nil || os.Getenv("GOWORK") == "off" {
		return err
	}
	for above := dir; ; above = filepath.Dir(above) {
		at := filepath.Join(above, "go.work")
		if text, err := os.ReadFile(at); err == nil {
			work, err := modfile.ParseWork(at, text, nil)
			if err != nil {
				return err
			}
			own := "./" + within(above, dir)
			if slices.ContainsFunc(work.Use, func(use *modfile.Use) bool { return "./"+path.Clean(use.Path) == own }) {
				return nil
			}
			return fmt.Errorf("this folder is in the workspace of %s, which does not use it. First run there: go work edit -use=%s", at, own)
		}
		if above == filepath.Dir(above) {
			return nil
		}
	}
}

// isGos reports whether Go's own library begins with the first part of a path. A name
// with a dot is never there.
func isGos(modulePath string) bool {
	first, _, _ := strings.Cut(modulePath, "/")
	if strings.Contains(first, ".") {
		return false
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	return err == nil && isFolder(filepath.Join(strings.TrimSpace(string(root)), "src", first))
}

// notWithin returns an error if the folder is within another module, unless it was
// named: then it is meant to be a module of its own.
func (p *plan) notWithin() error {
	if p.config.Dir != "" {
		return nil
	}
	dir, err := filepath.Abs(p.dir)
	if err != nil {
		return err
	}
	for above := filepath.Dir(dir); ; above = filepath.Dir(above) {
		if _, err := os.Stat(filepath.Join(above, "go.mod")); err == nil {
			return fmt.Errorf("this folder is within the module of %s: to add a service to that, run this in %s; to make a module of its own here, add --dir .", filepath.Join(above, "go.mod"), above)
		}
		if above == filepath.Dir(above) {
			return nil
		}
	}
}

// isFresh reports whether the folder has neither Go code nor other protos than those to
// build around, so that it gets all files of a project, not only the proto of a service.
func (p *plan) isFresh() (fresh bool, err error) {
	if p.gomod == nil {
		return true, nil
	}
	fresh = true
	err = filepath.WalkDir(p.dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && at != p.dir && (strings.HasPrefix(name, ".") || name == "vendor" || name == "node_modules" || name == "testdata") {
			return fs.SkipDir
		}
		if ext := filepath.Ext(name); ext == ".go" || ext == ".proto" && len(p.config.From) == 0 {
			fresh = false
			return fs.SkipAll
		}
		return nil
	})
	return fresh, err
}

// render makes the files of the project, with the proto first: what the others say
// depends on how it is read.
func (p *plan) render(ctx context.Context, stage string) error {
	ours, err := render.Embedded(templates.Files)
	if err != nil {
		return err
	}
	var theirs []render.File
	if p.config.Templates != "" {
		if theirs, err = render.Read(p.config.Templates); err != nil {
			return err
		}
		if p.project.Templates = within(p.dir, p.config.Templates); p.project.Templates == "" {
			p.left = append(p.left, fmt.Sprintf("%s is not in the module's folder, so that only this run uses it: copy it there, and give every later run --receiver_opt=templates=DIR", p.config.Templates))
		}
	}
	tree, err := render.Parse(ours, theirs)
	if err != nil {
		return err
	}
	outputs, err := tree.Drafts(p.project)
	if err != nil {
		return err
	}
	p.files = slices.Clone(p.copies)
	isProto := func(output keep.Output) bool { return path.Ext(output.Path) == ".proto" }
	for _, first := range []bool{true, false} {
		for _, output := range outputs {
			if isProto(output) != first || !p.fresh && !first {
				continue
			}
			text, err := output.Render()
			if err != nil {
				return err
			}
			if text != nil && (output.Path != "go.mod" || p.gomod == nil) {
				p.files = append(p.files, keep.File{Path: output.Path, Content: text})
			}
		}
		if first {
			if err := p.read(ctx, stage); err != nil {
				return err
			}
		}
	}
	slices.Reverse(p.files) // the proto last: where it is, all else was written
	return nil
}

// within returns the path of a folder below another one; "" if it is not there.
func within(dir, folder string) string {
	from, err1 := filepath.Abs(dir)
	to, err2 := filepath.Abs(folder)
	relative, err3 := filepath.Rel(from, to)
	if errors.Join(err1, err2, err3) != nil || !filepath.IsLocal(relative) {
		return ""
	}
	return filepath.ToSlash(relative)
}

// read compiles the protos in a module of their own in stage, to see how they are read,
// and what generate makes of them.
func (p *plan) read(ctx context.Context, stage string) error {
	files := append(slices.Clone(p.files), keep.File{Path: "go.mod", Content: []byte("module " + p.project.Path + "\n\ngo " + runtime.Go.Version + "\n")})
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
	var arguments []string
	for _, dir := range []string{stage, p.dir} {
		if at := filepath.Join(dir, filepath.FromSlash(p.project.Protos)); isFolder(at) {
			arguments = append(arguments, "-I", at)
		}
	}
	for _, option := range p.options(root) {
		arguments = append(arguments, "--receiver_opt="+option)
	}
	if err := compile.Explain(ctx, arguments, io.Discard); err != nil {
		return fmt.Errorf("%w\nNothing was written", err)
	}
	return nil
}

func isFolder(at string) bool {
	info, err := os.Stat(at)
	return err == nil && info.IsDir()
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
