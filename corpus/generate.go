package main

import (
	"bytes"
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// repositoryPath is the module path of the plugin's repository.
const repositoryPath = "github.com/protoc-gen-receiver/protoc-gen-receiver"

// parameter has the options of the plugin for every module. Descriptors that are
// linked into a program have no comments, which only events=names accepts. The
// runtime is imported, so that it is compiled once and not for each module. Other
// tests check that a copy works.
const parameter = "events=names,runtime=" + repositoryPath + "/runtime"

// generator runs the plugin.
type generator struct {
	repository string
	plugin     string // path of the program
	into       string // the folder for the modules
	gomod, sum []byte
}

func newGenerator(ctx context.Context, repository, into string) (*generator, error) {
	g := &generator{into: into, plugin: filepath.Join(into, ".bin", "protoc-gen-receiver")}
	var err, errMod, errSum error
	g.repository, err = filepath.Abs(repository)
	g.gomod, errMod = os.ReadFile("go.mod")
	g.sum, errSum = os.ReadFile("go.sum")
	if err := errors.Join(err, errMod, errSum); err != nil {
		return nil, err
	}
	_, err = goOutput(ctx, g.repository, "build", "-o", g.plugin, "./cmd/protoc-gen-receiver")
	return g, err
}

// run generates code for a module's services, and checks it.
func (g *generator) run(ctx context.Context, module Module) *Result {
	result := &Result{Module: module}
	dir := filepath.Join(g.into, module.Name)
	request, err := module.request(ctx)
	if err == nil {
		result.Services = services(request)
		err = g.generate(ctx, dir, request)
	}
	if err == nil {
		err = result.locate(ctx, dir)
	}
	if err != nil {
		result.fail("generate", "", err.Error())
		return result
	}
	if err := result.findEvents(dir); err != nil {
		result.fail("generate", "", err.Error())
	}
	result.check(ctx, dir)
	return result
}

// generate writes a new module with the plugin's answer to a request.
func (g *generator) generate(ctx context.Context, dir string, request *pluginpb.CodeGeneratorRequest) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	gomod, err := g.goMod(path.Join("example.com/corpus", filepath.Base(dir)))
	if err != nil {
		return err
	}
	if err := errors.Join(write(dir, "go.mod", gomod), write(dir, "go.sum", g.sum)); err != nil {
		return err
	}
	response, err := g.runPlugin(ctx, dir, request)
	if err != nil {
		return err
	}
	for _, file := range response.GetFile() {
		if err := write(dir, file.GetName(), []byte(file.GetContent())); err != nil {
			return err
		}
	}
	return nil
}

// runPlugin runs the plugin in a folder.
func (g *generator) runPlugin(ctx context.Context, dir string, request *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	request.Parameter = proto.String(strings.Trim(parameter+","+request.GetParameter(), ","))
	input, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, g.plugin)
	command.Dir, command.Stdin = dir, bytes.NewReader(input)
	output, err := outputOf(command)
	if err != nil {
		return nil, err
	}
	response := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(output, response); err != nil {
		return nil, err
	}
	if response.GetError() != "" {
		return nil, errors.New(response.GetError())
	}
	return response, nil
}

// goMod returns the go.mod of a generated module: ours with another name.
func (g *generator) goMod(name string) ([]byte, error) {
	file, err := modfile.Parse("go.mod", g.gomod, nil)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(file.AddModuleStmt(name), file.AddReplace(repositoryPath, "", g.repository, "")); err != nil {
		return nil, err
	}
	return file.Format()
}

func write(dir, name string, text []byte) error {
	at := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
		return err
	}
	return os.WriteFile(at, text, 0o644)
}

// goPackage returns the import path of a file's Go package.
func goPackage(request *pluginpb.CodeGeneratorRequest, file *descriptorpb.FileDescriptorProto) string {
	goPackage := file.GetOptions().GetGoPackage()
	for option := range strings.SplitSeq(request.GetParameter(), ",") {
		if mapped, ok := strings.CutPrefix(option, "M"+file.GetName()+"="); ok {
			goPackage = mapped
		}
	}
	importPath, _, _ := strings.Cut(goPackage, ";")
	return importPath
}

// goName returns a service's name as Go spells it.
func goName(name string) string {
	file := &descriptorpb.FileDescriptorProto{
		Name:    proto.String("name.proto"),
		Options: &descriptorpb.FileOptions{GoPackage: proto.String("a/name")},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String(name)}},
	}
	plugin, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{file.GetName()},
		ProtoFile:      []*descriptorpb.FileDescriptorProto{file},
	})
	if err != nil {
		return name
	}
	return plugin.Files[0].Services[0].GoName
}

// implements reports whether a file implements a service: whether it embeds the
// UnimplementedXServer of the service's package.
func implements(file *ast.File, service *Service) (found bool) {
	ast.Inspect(file, func(node ast.Node) bool {
		if field, ok := node.(*ast.Field); ok && len(field.Names) == 0 {
			selector, ok := field.Type.(*ast.SelectorExpr)
			found = found || ok && selector.Sel.Name == "Unimplemented"+service.GoName+"Server"
		}
		return true
	})
	return found && slices.ContainsFunc(file.Imports, func(spec *ast.ImportSpec) bool {
		return spec.Path.Value == strconv.Quote(service.GoPackage)
	})
}

// goFiles calls do with every Go file below a folder.
func goFiles(root string, do func(at string, file *ast.File)) error {
	files := token.NewFileSet()
	return filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(at) != ".go" {
			return err
		}
		file, err := parser.ParseFile(files, at, nil, parser.SkipObjectResolution)
		if err == nil {
			do(at, file)
		}
		return err
	})
}
