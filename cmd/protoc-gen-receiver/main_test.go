package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

func TestCommand(t *testing.T) {
	for name, test := range map[string]struct {
		args     []string
		terminal bool
		out, err string
	}{
		"version":          {args: []string{"version"}, out: "protoc-gen-receiver "},
		"--version":        {args: []string{"--version"}, out: "protoc-gen-receiver "},
		"help":             {args: []string{"help"}, out: "Commands:"},
		"on a terminal":    {terminal: true, out: "Commands:"},
		"help generate":    {args: []string{"help", "generate"}, out: "Usage: protoc-gen-receiver generate"},
		"generate --help":  {args: []string{"generate", "--help"}, out: "Usage: protoc-gen-receiver generate"},
		"explain --help":   {args: []string{"explain", "--help"}, out: "Usage: protoc-gen-receiver generate"},
		"help templates":   {args: []string{"help", "templates"}, out: "Usage: protoc-gen-receiver templates"},
		"templates --help": {args: []string{"templates", "--help"}, out: "Usage: protoc-gen-receiver templates"},
		"new --help":       {args: []string{"new", "--help"}, out: "Usage: protoc-gen-receiver new"},
		"help new":         {args: []string{"help", "new"}, out: "Usage: protoc-gen-receiver new"},
		"new":              {args: []string{"new"}, err: "which module?"},
		"new, two modules": {args: []string{"new", "example.com/a", "example.com/b"}, err: "one module"},
		"templates":        {args: []string{"templates"}, err: "templates wants either --list"},
		"templates, both":  {args: []string{"templates", "--list", "--export", "overrides"}, err: "templates wants either --list"},
		"templates --list": {args: []string{"templates", "--list"}, out: "program  yours  program/cmd/{app}-server/main.events.go.tmpl\n"},
		"unknown command":  {args: []string{"gen"}, err: `there is no command "gen": want new, generate, explain, templates, version or help`},
		"unknown flag":     {args: []string{"generate", "--colour"}, err: "flag provided but not defined: -colour"},
		"no such file":     {args: []string{"generate", "nowhere.proto"}, err: "nowhere.proto"},
		"no proto at all":  {args: []string{"generate"}, err: "no .proto file below"},
		"not a request":    {err: "stdin is not a request from protoc or buf"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			var stdout, stderr bytes.Buffer
			err := run(context.Background(), env{
				args: test.args, terminal: test.terminal, stdin: strings.NewReader("\xff"), stdout: &stdout, stderr: &stderr,
			})
			if (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("the error is %v, want %q in it", err, test.err)
			}
			if !strings.Contains(stdout.String(), test.out) || test.out == "" && stdout.Len() > 0 {
				t.Errorf("it prints %q, want %q in it", stdout.String(), test.out)
			}
			if stderr.Len() > 0 {
				t.Errorf("it prints %q on stderr", stderr.String())
			}
		})
	}
}

// TestPluginAnswersWithAnError checks that an error is in the response: protoc prints
// it only if the process exits with 0.
func TestPluginAnswersWithAnError(t *testing.T) {
	t.Chdir(t.TempDir())
	request, err := proto.Marshal(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{"a.proto"},
		ProtoFile: []*descriptorpb.FileDescriptorProto{{
			Name:    proto.String("a.proto"),
			Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("A")}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if err := run(context.Background(), env{stdin: bytes.NewReader(request), stdout: &stdout, stderr: &stderr}); err != nil {
		t.Fatal(err)
	}
	response := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(stdout.Bytes(), response); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(response.GetError(), "no go.mod in ") || len(response.GetFile()) > 0 {
		t.Errorf("the response is %v", response)
	}
}
