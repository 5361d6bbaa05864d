package main

import (
	"bytes"
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
)

func TestCommand(t *testing.T) {
	for name, test := range map[string]struct {
		args     string
		terminal bool
		out, err string
		exit     int
	}{
		"version":              {args: "version", out: "protoc-gen-receiver "},
		"--version":            {args: "--version", out: "protoc-gen-receiver "},
		"-version":             {args: "-version", out: "protoc-gen-receiver "},
		"help":                 {args: "help", out: "Commands:"},
		"-h":                   {args: "-h", out: "Commands:"},
		"-help":                {args: "-help", out: "Commands:"},
		"on a terminal":        {terminal: true, out: "Commands:"},
		"help generate":        {args: "help generate", out: "Usage: protoc-gen-receiver generate"},
		"generate --help":      {args: "generate --help", out: "Usage: protoc-gen-receiver generate"},
		"generate -help":       {args: "generate -help", out: "Usage: protoc-gen-receiver generate"},
		"explain --help":       {args: "explain --help", out: "Usage: protoc-gen-receiver explain"},
		"help templates":       {args: "help templates", out: "Usage: protoc-gen-receiver templates"},
		"templates --help":     {args: "templates --help", out: "Usage: protoc-gen-receiver templates"},
		"help options":         {args: "help options", out: "  program=NAME\n"},
		"new --help":           {args: "new --help", out: "Usage: protoc-gen-receiver new"},
		"help new":             {args: "help new", out: "Usage: protoc-gen-receiver new"},
		"new":                  {args: "new", err: "which module?", exit: 2},
		"new, a wrong path":    {args: "new example.com/x/v1", err: "because of the version at its end: want one such as example.com/orders or example.com/orders/v2 (see protoc-gen-receiver help new)", exit: 2},
		"new, a wrong service": {args: "new example.com/x --service orders", err: "such as Orders (see", exit: 2},
		"new, two names":       {args: "new example.com/x --service Orders --from x.proto", err: "leave out --service and --event", exit: 2},
		"new, a missing proto": {args: "new example.com/x --from x.proto", err: "no such file", exit: 1},
		"new, two modules":     {args: "new example.com/a example.com/b", err: "want one module, not also example.com/b (see protoc-gen-receiver help new)", exit: 2},
		"watch and check":      {args: "generate --watch --check", err: "--watch writes files, and --check and --diff write none", exit: 2},
		"watch and diff":       {args: "generate --watch --diff", err: "--watch writes files, and --check and --diff write none", exit: 2},
		"poll, no watch":       {args: "generate --poll", err: "--poll says how to watch: use it with --watch (see", exit: 2},
		"help of nothing":      {args: "help generat", err: `there is no command "generat": did you mean generate? (see protoc-gen-receiver help)`, exit: 2},
		"templates":            {args: "templates", err: "templates wants either --list, with or without --templates=DIR, or --export=DIR (see protoc-gen-receiver help templates)", exit: 2},
		"templates, both":      {args: "templates --list --export overrides", err: "templates wants either --list", exit: 2},
		"templates --list":     {args: "templates --list", out: "program  yours  program/cmd/{app}-server/main.events.go.tmpl\n"},
		"completion bash":      {args: "completion bash", out: "# bash completion V2 for protoc-gen-receiver"},
		"completion, no shell": {args: "completion", err: "completion wants one shell of bash, zsh, fish, powershell (see protoc-gen-receiver help completion)", exit: 2},
		"completion, unknown":  {args: "completion tcsh", err: `completion knows no shell "tcsh": want one of bash, zsh, fish, powershell`, exit: 2},
		"misspelt command":     {args: "gen", err: `there is no command "gen": did you mean generate? (see protoc-gen-receiver help)`, exit: 2},
		"unknown command":      {args: "serve", err: `there is no command "serve": want one of new, generate, explain, templates, `, exit: 2},
		"proto, no command":    {args: "a.proto", err: "to generate from it, run protoc-gen-receiver generate a.proto (see", exit: 2},
		"flag, no command":     {args: "-I. a.proto", err: "there is no command before the flag -I.: the first word must be one, as in protoc-gen-receiver generate -I.", exit: 2},
		"unknown flag":         {args: "generate --colour", err: "generate has no flag --colour (see protoc-gen-receiver help generate)", exit: 2},
		"unknown, one dash":    {args: "generate -colour", err: "generate has no flag --colour (see protoc-gen-receiver help generate)", exit: 2},
		"misspelt flag":        {args: "generate --chek", err: "generate has no flag --chek: did you mean --check?", exit: 2},
		"option as a flag":     {args: "generate --program=all", err: "generate has no flag --program: did you mean --receiver_opt=program=NAME?", exit: 2},
		"flag without value":   {args: "generate --receiver_opt", err: "the flag --receiver_opt has no value: want --receiver_opt=NAME=VALUE (see protoc-gen-receiver help generate)", exit: 2},
		"flag of true, false":  {args: "generate --check=perhaps", err: `the flag --check has the value "perhaps": want true or false`, exit: 2},
		"misspelt option":      {args: "generate --receiver_opt=progam=all", err: `option "progam=all" is unknown: did you mean program=NAME?`, exit: 2},
		"too many arguments":   {args: "version 2", err: `version takes no argument such as "2" (see protoc-gen-receiver help version)`, exit: 2},
		"no such file":         {args: "generate nowhere.proto", err: "nowhere.proto", exit: 1},
		"no proto at all":      {args: "generate", err: "no .proto file below", exit: 1},
		"not a request":        {err: "stdin is not a request from protoc or buf", exit: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			var stdout, stderr bytes.Buffer
			err := run(context.Background(), env{
				args: strings.Fields(test.args), terminal: test.terminal, stdin: strings.NewReader("\xff"), stdout: &stdout, stderr: &stderr,
			})
			if (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("the error is %v, want %q in it", err, test.err)
			}
			if exit := exitCode(err); exit != test.exit {
				t.Errorf("it exits with %d after %v, want %d", exit, err, test.exit)
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

// TestFlagsAsProtocHasThem checks what each way to write a flag gives to generate.
func TestFlagsAsProtocHasThem(t *testing.T) {
	for _, test := range []struct {
		args []string
		want compile.Options
	}{
		{[]string{"a.proto", "-I", "p q", "-Ir,s", "b.proto", "-I=t", "--proto_path=u", "--proto_path", "v", "-proto_path=w", "-proto_path", "-check"},
			compile.Options{ImportPaths: []string{"p q", "r,s", "t", "u", "v", "w", "-check"}, Files: []string{"a.proto", "b.proto"}}},
		{[]string{"--receiver_opt=program=a,events=off", "--receiver_opt", "root=x y", "-receiver_opt=check=true", "--go_opt=Ma.proto=b,Mc.proto=d", "-go_opt", "paths=import", "--go-grpc_opt=x=1,y=2", "-go-grpc_opt=z"},
			compile.Options{Receiver: []string{"program=a,events=off", "root=x y", "check=true"}, Go: []string{"Ma.proto=b,Mc.proto=d", "paths=import"}, GoGRPC: []string{"x=1,y=2", "z"}, Files: []string{}}},
		{[]string{"-check", "a.proto", "--diff"}, compile.Options{Check: true, Diff: true, Files: []string{"a.proto"}}},
		{[]string{"--check=true", "-diff=false", "--", "-check", "--diff"}, compile.Options{Check: true, Files: []string{"-check", "--diff"}}},
	} {
		var got compile.Options
		command := &cobra.Command{}
		addGenerateFlags(command, &got)
		if err := command.ParseFlags(withTwoDashes(command.Flags(), test.args)); err != nil {
			t.Errorf("%q: %v", test.args, err)
		}
		got.Files = command.Flags().Args()
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q gives\n%+v, want\n%+v", test.args, got, test.want)
		}
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
