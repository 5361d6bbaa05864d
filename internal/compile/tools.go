package compile

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"

	"golang.org/x/mod/module"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
)

// tool is a plugin that is not ours.
type tool struct{ module, version string }

// tools make the .pb.go files.
var tools = []tool{
	{"google.golang.org/protobuf/cmd/protoc-gen-go", "v1.36.12"},
	{"google.golang.org/grpc/cmd/protoc-gen-go-grpc", "v1.6.2"},
}

// Tools returns the packages of the plugins that generate runs besides ours, at the
// versions that were tested.
func Tools() (all []module.Version) {
	for _, tool := range tools {
		all = append(all, module.Version{Path: tool.module, Version: tool.version})
	}
	return all
}

func (t tool) name() string { return path.Base(t.module) }

// programs are those of the module's tools that were found with a go.mod.
type programs struct {
	gomod string
	of    map[string]string // by the tool's module
}

// find returns the program of a tool: that of the module if go.mod has it, else the one
// on PATH. It asks the Go command once for each go.mod, since that takes as long as all
// else in a run.
func (p *programs) find(ctx context.Context, t tool, root string, gomod *plugin.GoMod) (string, error) {
	if !gomod.Tool(t.module) {
		return t.onPath()
	}
	if p.gomod != gomod.Text() {
		*p = programs{gomod: gomod.Text(), of: map[string]string{}}
	}
	if _, err := os.Stat(p.of[t.module]); err == nil { // it is in a cache, from which it may be removed
		return p.of[t.module], nil
	}
	program, err := t.ofModule(ctx, root)
	p.of[t.module] = program
	return program, err
}

// ofModule returns the program that the Go command builds.
func (t tool) ofModule(ctx context.Context, root string) (string, error) {
	command := exec.CommandContext(ctx, "go", "tool", "-n", t.module)
	command.Dir = root
	var stderr bytes.Buffer
	command.Stderr = &stderr
	program, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go tool -n %s: %w\n%s", t.module, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(bytes.TrimSpace(program)), nil
}

// onPath returns the program on PATH.
func (t tool) onPath() (string, error) {
	program, err := exec.LookPath(t.name())
	if err != nil {
		return "", fmt.Errorf("%s is neither a tool of the module nor on PATH: run go get -tool %s@%s, or go install %s@%s",
			t.name(), t.module, t.version, t.module, t.version)
	}
	return program, nil
}

// run runs the program on a request.
func (t tool) run(ctx context.Context, program string, request *pluginpb.CodeGeneratorRequest, options []string) (*pluginpb.CodeGeneratorResponse, error) {
	request = proto.CloneOf(request)
	request.Parameter = proto.String(strings.Join(options, ","))
	input, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, program)
	command.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", t.name(), err, bytes.TrimSpace(stderr.Bytes()))
	}
	response := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(output, response); err != nil {
		return nil, fmt.Errorf("%s: %w", t.name(), err)
	}
	if response.GetError() != "" {
		return nil, fmt.Errorf("%s: %s", t.name(), response.GetError())
	}
	return response, nil
}
