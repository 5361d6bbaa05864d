// Package command turns a command line into calls of RPCs:
//
//	PROGRAM COMMAND [flags]
//
// A command makes one call. Its flags set the fields of the request, and its
// reply goes to the standard output. Whatever goes wrong is told in one line
// on the standard error, with nothing on the standard output and exit code 1.
//
// A call that takes many requests reads them from the standard input unless
// flags describe one: protobuf JSON, one value after the other, with any white
// space between and within them. Each is sent as soon as it is read. The
// replies of a call that gives many are printed as they arrive, one a line;
// what goes wrong later does not take them back.
//
//	func main() { os.Exit(command.Main("receiver-client", commands)) }
package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"google.golang.org/protobuf/proto"
)

// Command is one subcommand of a program.
type Command struct {
	// Name selects it on the command line. Where commands of several services
	// share a name, and where it is help, which is built in, the end of the
	// service's name has to go before it, as much as tells the commands apart:
	// orders.get or v2.orders.get, in capitals or not. That selects it always.
	Name       string
	Service    string // its full name, such as "shop.v1.Orders"; may be empty where no name is shared
	Doc        string // its first line stands in the list of commands
	Deprecated bool   // help says so, and nothing else changes
	Event      bool   // whether the request is an event without an id of its own, so that --event-id is offered
	Flags      []Flag // beside the ones that every command has
	Call       Call
}

// Env is what a program is given by its surroundings.
type Env struct {
	Program string   // its name, such as "receiver-client"
	Args    []string // the command line after that name
	Getenv  func(key string) string
	Stdin   io.Reader // nil is an empty one
	Stdout  io.Writer // each reply is one Write
}

// Main runs a program in the process it finds itself in and returns the exit
// code: 0, or 1 after an error, which it prints. The first SIGINT or SIGTERM
// cancels the call, the second ends the process. To cancel a call is an error
// unless it gives many replies and has begun: such a call may have no other
// end, so what was printed is all that was asked for, and the exit code is 0.
func Main(program string, commands []Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	env := Env{Program: program, Args: os.Args[1:], Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout}
	if err := Run(ctx, env, commands); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", program, printable(err.Error()))
		return 1
	}
	return 0
}

// Run does what the command line says: makes a call and prints its reply, or
// prints help. Nothing has been printed if it returns an error, unless
// printing is what went wrong, or the call gives many replies: those that came
// before the error stay printed. Such a call ends without an error if ctx is
// cancelled after it has begun.
//
// Run waits for no Read of the standard input: one that is under way when the
// call ends is left behind, and what it reads is not used.
func Run(ctx context.Context, env Env, commands []Command) error {
	if err := checkNames(commands); err != nil {
		return err
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

// show prints a reply.
func show(stdout io.Writer, reply proto.Message, asJSON, oneLine bool) error {
	text, err := format(reply, asJSON, oneLine)
	if err != nil {
		return err
	}
	return write(stdout, text)
}

// write is the only one to write to the standard output: help at once, and
// each reply at once.
func write(stdout io.Writer, text string) error {
	if _, err := io.WriteString(stdout, text); err != nil {
		return fmt.Errorf("the standard output: %w", err)
	}
	return nil
}

// printable makes one line of a text that may come from a server: neither line
// breaks nor what a terminal would obey are left in it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
