package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

// Module is a public Go module with services.
type Module struct {
	Name     string // the folder below modules
	Path     string // as in go.mod
	Version  string
	Packages []string // the import paths of the packages with services
}

// find returns the modules of the folder modules.
func find(ctx context.Context) ([]Module, error) {
	output, err := goOutput(ctx, ".", "list", "-json=ImportPath,Imports", "./modules/...")
	if err != nil {
		return nil, err
	}
	var modules []Module
	for decoder := json.NewDecoder(strings.NewReader(string(output))); decoder.More(); {
		var program struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&program); err != nil {
			return nil, err
		}
		module := Module{Name: path.Base(program.ImportPath)}
		module.Packages = slices.DeleteFunc(program.Imports, func(name string) bool { return strings.HasSuffix(name, "/corpus/descriptors") })
		output, err := goOutput(ctx, ".", "list", "-f", "{{.Module.Path}} {{.Module.Version}}", module.Packages[0])
		if err != nil {
			return nil, err
		}
		module.Path, module.Version, _ = strings.Cut(strings.TrimSpace(string(output)), " ")
		modules = append(modules, module)
	}
	return modules, nil
}

// request runs the module's program, and returns the request that it writes.
func (m Module) request(ctx context.Context) (*pluginpb.CodeGeneratorRequest, error) {
	output, err := goOutput(ctx, ".", append([]string{"run", "./modules/" + m.Name}, m.Packages...)...)
	if err != nil {
		return nil, err
	}
	request := &pluginpb.CodeGeneratorRequest{}
	return request, proto.Unmarshal(output, request)
}

// goOutput runs the go command in a folder, and returns what it prints.
func goOutput(ctx context.Context, dir string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GOWORK=off")
	return outputOf(command)
}

// output runs a program, and returns what it prints.
func output(ctx context.Context, program string, args ...string) ([]byte, error) {
	return outputOf(exec.CommandContext(ctx, program, args...))
}

// outputOf runs a command, and returns what it prints. An error contains its stderr.
func outputOf(command *exec.Cmd) ([]byte, error) {
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s%s", path.Base(command.Path), err, stderr.String(), output)
	}
	return output, err
}
