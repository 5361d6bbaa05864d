// Package command turns a command line into calls of RPCs.
//
//	PROGRAM COMMAND [flags]
//
// A command makes one call. Its flags set the fields of the request, and it
// prints the reply on the standard output. An error is printed in one line on
// the standard error, with nothing on the standard output and exit code 1. With
// extensions, which main may give (see [With]), there are other commands and codes.
//
// A call with many requests reads them from the standard input, unless flags
// describe one request. The input is protobuf JSON, one value after the other,
// with any white space between and within them. Each request is sent as soon as
// it is read. A call with many replies prints each as it arrives, in one line;
// they stay printed if an error follows.
//
// A command of an RPC that takes one event, or a batch of them, reads events in the
// same way and calls the RPC as often as it takes: see [Command].Reads and Batch.
//
//	func main() { os.Exit(command.Main("receiver-client", commands)) }
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/terminal"
)

// Command is one subcommand of a program.
type Command struct {
	// Name selects the command on the command line. If commands of several
	// services share a name, or if the name is help, which is built in, the end
	// of the service's name must precede it, as much as makes it unique:
	// orders.get or v2.orders.get, in any case. That form always selects it.
	Name       string
	Service    string // the full name, such as "shop.v1.Orders"; may be empty if no other command has the name
	Doc        string // the list of commands shows its first line
	Deprecated bool   // help shows it; nothing else changes
	Event      bool   // whether the request has events whose id may come with the call, so that there is a flag --event-id
	Flags      []Flag // without the flags that every command has
	Call       Call
	RPC, ID    string // the RPC, and the path of the field with the id of its event, or of an element of Batch
	// Reads makes a command with one request read any number of them from the
	// standard input, and make a call for each, if no flag is given and the input
	// is a file or a pipe.
	Reads bool
	// Batch is a repeated field of messages of the request. If it is set and its
	// flag is not given, its elements are read from the standard input. Each call
	// has those that have arrived, up to 500 or a megabyte.
	Batch string

	extended any // by [With]
}

// Env is the environment of a program: its arguments, variables and streams.
type Env struct {
	Program string   // the name, such as "receiver-client"
	Args    []string // the command line after that name
	Getenv  func(key string) string
	Stdin   io.Reader // nil means an empty one
	Stdout  io.Writer // gets each reply in one Write
	Stderr  io.Writer // gets a line about how much was sent; nil means that nobody wants it
	// Options are for each connection, for example a token of the program's own
	// ([client.Token]), or what signs each call ([client.PerCall]). Those of the
	// command line's flags come after them, and count where both say something.
	Options []client.Option

	plan any // of a measurement
}

// extend is what extensions do. It is nil in a module without.
var extend *extending

type extending struct {
	run    func(ctx context.Context, env Env, commands []Command) error // as Run
	define func(p *parsed, set *flag.FlagSet, env Env, c Command)       // adds flags
	parsed func(p *parsed) error                                        // is called when flags have their values
	help   func(p *parsed, section func(title string, flags []string))
}

// Main runs a program with the arguments, environment and streams of the process, and
// with options for its connections (see [Env]), and returns the exit code: 0, or 1 after an error, which it prints. The first
// SIGINT or SIGTERM cancels the call, the second ends the process. A cancelled
// call is an error, except that a call with many replies may be cancelled once
// it has begun: it may never end by itself. Then the exit code is 0.
func Main(program string, commands []Command, options ...client.Option) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	env := Env{Program: program, Args: os.Args[1:], Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Options: options}
	if err := Run(ctx, env, commands); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", program, terminal.Text(err.Error()))
		if coded := (interface{ ExitCode() int })(nil); errors.As(err, &coded) {
			return coded.ExitCode()
		}
		return 1
	}
	return 0
}

// Run runs a command line: it makes a call and prints its reply, or it prints
// help. If it returns an error it has printed nothing, unless printing failed or
// there are many replies: those that came before the error stay printed. A call
// with many replies ends without an error if ctx is cancelled after it has
// begun.
//
// Run does not wait for a Read of the standard input that is under way when the
// call ends, and does not use what that Read returns.
func Run(ctx context.Context, env Env, commands []Command) error {
	if err := checkNames(commands); err != nil {
		return err
	}
	if extend != nil {
		return extend.run(ctx, env, commands)
	}
	if len(env.Args) == 0 {
		return fmt.Errorf("no command given (run '%s help')", env.Program)
	}
	name, args := env.Args[0], env.Args[1:]
	if slices.Contains(builtin, name) {
		return help(env, commands, args)
	}
	command, err := find(env, commands, name)
	if err != nil {
		return err
	}
	if err := command.run(ctx, env, args); err != nil {
		return fmt.Errorf("%s: %w", command.Name, err)
	}
	return nil
}

func (c Command) run(ctx context.Context, env Env, args []string) error {
	parsed, err := c.parse(env, args)
	if err != nil {
		return err
	}
	if parsed.help {
		return c.help(env)
	}
	return c.call(ctx, env, parsed)
}
