// protoc-gen-receiver makes a whole Go gRPC service of a .proto: one that runs,
// stores every event durably before it acknowledges it, and is tested.
//
// It is a plugin of protoc and buf:
//
//	protoc --go_out=. --go_opt=module=MODULE --go-grpc_out=. --go-grpc_opt=module=MODULE \
//		--receiver_out=. receiver.proto
//
// in buf.gen.yaml:
//
//	version: v2
//	plugins:
//	  - local: protoc-gen-receiver
//	    out: .
//
// and a command with the compiler built in:
//
//	protoc-gen-receiver generate receiver.proto
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/catalog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
)

// help is followed by the list of options.
const help = `protoc-gen-receiver makes a whole Go gRPC service of a .proto.

As a plugin:   protoc --go_out=. --go-grpc_out=. --receiver_out=. FILE.proto
As a command:  protoc-gen-receiver COMMAND

Commands:
  generate   compile protos and generate, without protoc or buf
  explain    tell how each RPC is read, and which files it gets
  templates  list the templates of the files, or write them out to start from
  version    print the version
  help       print this text, or with "help generate" that of the command

Options, as --receiver_opt=NAME=VALUE; where values are listed, the first is the default:
`

// env is all that a run sees of the process.
type env struct {
	args     []string
	terminal bool // whether stdin is one
	stdin    io.Reader
	stdout   io.Writer
	stderr   io.Writer
}

func main() {
	err := run(context.Background(), env{
		args:     os.Args[1:],
		terminal: isTerminal(os.Stdin),
		stdin:    os.Stdin,
		stdout:   os.Stdout,
		stderr:   os.Stderr,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "protoc-gen-receiver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, env env) error {
	if len(env.args) == 0 && !env.terminal {
		return answer(env)
	}
	command := "help"
	if len(env.args) > 0 {
		command = env.args[0]
	}
	switch command {
	case "generate":
		return orUsage(env, compile.Usage, compile.Generate(ctx, env.args[1:], env.stdout, env.stderr))
	case "explain":
		return orUsage(env, compile.Usage, compile.Explain(ctx, env.args[1:], env.stdout))
	case "templates":
		return orUsage(env, catalog.Usage, catalog.Run(env.args[1:], env.stdout))
	case "version", "--version", "-version":
		_, err := fmt.Fprintln(env.stdout, "protoc-gen-receiver", version())
		return err
	case "help", "--help", "-help", "-h":
		_, err := io.WriteString(env.stdout, helpWith(env.args))
		return err
	}
	return fmt.Errorf("there is no command %q: want generate, explain, templates, version or help", command)
}

// helpWith is the help of the command that help was asked with, or of all.
func helpWith(args []string) string {
	if len(args) > 1 {
		switch args[1] {
		case "generate", "explain":
			return compile.Usage
		case "templates":
			return catalog.Usage
		}
	}
	return help + plugin.OptionHelp()
}

// orUsage prints the help that a command was asked for.
func orUsage(env env, usage string, err error) error {
	if errors.Is(err, flag.ErrHelp) {
		_, err = io.WriteString(env.stdout, usage)
	}
	return err
}

// gcPercent is how much more memory a run may take before garbage is collected:
// it ends soon, and what it holds is less than what it could.
const gcPercent = 150

// answer is the plugin: a request on stdin, the response on stdout.
func answer(env env) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	input, err := io.ReadAll(env.stdin)
	if err != nil {
		return err
	}
	request := &pluginpb.CodeGeneratorRequest{}
	if err := proto.Unmarshal(input, request); err != nil {
		return fmt.Errorf("what came on stdin is no request of protoc or buf: %w", err)
	}
	response := plugin.Respond(request, func(line string) { fmt.Fprintln(env.stderr, "protoc-gen-receiver:", line) })
	output, err := proto.Marshal(response)
	if err != nil {
		return err
	}
	_, err = env.stdout.Write(output)
	return err
}

// version is that of the module as it was installed or built.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
