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
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/colour"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
)

// env is the environment of a run: everything that it uses of the process.
type env struct {
	args     []string
	terminal bool // whether nobody sends a request on stdin
	stdin    io.Reader
	stdout   io.Writer
	stderr   io.Writer
	// Whether stdout and stderr are terminals that want colour.
	colourOut, colourErr bool
}

func main() {
	os.Exit(exit(context.Background(), environment(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)))
}

// environment returns the environment of a process.
func environment(args []string, stdin, stdout, stderr *os.File, getenv func(string) string) env {
	return env{
		args:      args,
		terminal:  isDevice(stdin),
		stdin:     stdin,
		stdout:    stdout,
		stderr:    stderr,
		colourOut: colour.Wanted(stdout, getenv),
		colourErr: colour.Wanted(stderr, getenv),
	}
}

// exit runs the program, prints its error, and returns its exit code.
func exit(ctx context.Context, env env) int {
	stderr := env.stderr
	if env.colourErr {
		stderr = colour.Lines(env.stderr, colour.Error)
		env.stderr = colour.Lines(env.stderr, colour.Warning)
	}
	err := run(ctx, env)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", program, err)
	}
	return exitCode(err)
}

// run runs as a plugin or as a command. Commands are only built if there is one, so
// that the plugin starts without them.
func run(ctx context.Context, env env) error {
	if len(env.args) == 0 && !env.terminal {
		return answer(env)
	}
	return runCommand(ctx, env)
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

// isDevice reports whether a file is a terminal or the null device, from which no
// request comes.
func isDevice(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
