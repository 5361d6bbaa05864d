// protoc-gen-receiver generates a complete Go gRPC service from a .proto. The
// service runs, stores every event durably before it acknowledges it, and has tests.
//
// It is a plugin for protoc:
//
//	protoc --go_out=. --go_opt=module=MODULE --go-grpc_out=. --go-grpc_opt=module=MODULE \
//		--receiver_out=. receiver.proto
//
// and for buf, in buf.gen.yaml:
//
//	version: v2
//	plugins:
//	  - local: protoc-gen-receiver
//	    out: .
//
// and it is a command with a built-in compiler:
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
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/project"
)

// help is followed by the list of options.
const help = `protoc-gen-receiver generates a complete Go gRPC service from a .proto.

As a plugin:   protoc --go_out=. --go-grpc_out=. --receiver_out=. FILE.proto
As a command:  protoc-gen-receiver COMMAND

Commands:
  new        make a module around a new service, or add a service to a module
  generate   compile protos and generate, without protoc or buf
  explain    print how each RPC is read, and which files it gets
  templates  list the templates, or export them to start from
  version    print the version
  help       print this text, or with "help COMMAND" the help of the command

Options, as --receiver_opt=NAME=VALUE; where values are listed, the first is the default:
`

// env is the environment of a run: everything that it uses of the process.
type env struct {
	args     []string
	terminal bool // whether stdin is a terminal
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
	case "new":
		config, err := newConfig(env.args[1:])
		if err != nil {
			return orUsage(env, newUsage, err)
		}
		return project.New(ctx, config, env.stdout, env.stderr)
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
	return fmt.Errorf("there is no command %q: want new, generate, explain, templates, version or help", command)
}

// helpWith returns the help of the command that follows "help", or the general help.
func helpWith(args []string) string {
	if len(args) > 1 {
		switch args[1] {
		case "new":
			return newUsage
		case "generate", "explain":
			return compile.Usage
		case "templates":
			return catalog.Usage
		}
	}
	return help + plugin.OptionHelp()
}

// orUsage prints the usage of a command if it was asked for help.
func orUsage(env env, usage string, err error) error {
	if errors.Is(err, flag.ErrHelp) {
		_, err = io.WriteString(env.stdout, usage)
	}
	return err
}

// gcPercent lets the heap grow more between garbage collections than by default,
// because a run is short and needs little memory.
const gcPercent = 150

// answer runs as a plugin: it reads a request on stdin and writes the response on
// stdout.
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
		return fmt.Errorf("stdin is not a request from protoc or buf: %w", err)
	}
	response := plugin.Respond(request, func(line string) { fmt.Fprintln(env.stderr, "protoc-gen-receiver:", line) })
	output, err := proto.Marshal(response)
	if err != nil {
		return err
	}
	_, err = env.stdout.Write(output)
	return err
}

// version returns the version of the module from which the program was built.
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
