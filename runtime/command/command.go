// Package command turns a command line into calls of RPCs:
//
//	PROGRAM COMMAND [flags]
//
// A command makes one call. Its flags set the fields of the request, and its
// reply goes to the standard output. Whatever goes wrong is told in one line
// on the standard error, with nothing on the standard output and exit code 1.
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
	"time"
	"unicode"

	"google.golang.org/grpc/status"
)

// Command is one subcommand of a program.
type Command struct {
	Name  string // what selects it on the command line; not "help", which is built in
	Doc   string // its first line stands in the list of commands
	Event bool   // whether the request is an event without an id of its own, so that --event-id is offered
	Flags []Flag // beside the ones that every command has
	Call  Call
}

// Env is what a program is given by its surroundings.
type Env struct {
	Program string   // its name, such as "receiver-client"
	Args    []string // the command line after that name
	Getenv  func(key string) string
	Stdout  io.Writer
}

// Main runs a program in the process it finds itself in and returns the exit
// code: 0, or 1 after an error, which it prints. The first SIGINT or SIGTERM
// cancels the call, the second ends the process.
func Main(program string, commands []Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	env := Env{Program: program, Args: os.Args[1:], Getenv: os.Getenv, Stdout: os.Stdout}
	if err := Run(ctx, env, commands); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", program, printable(err.Error()))
		return 1
	}
	return 0
}

// Run does what the command line says: makes a call and prints its reply, or
// prints help. Nothing has been printed if it returns an error, unless
// printing is what went wrong.
func Run(ctx context.Context, env Env, commands []Command) error {
	if len(env.Args) == 0 {
		return fmt.Errorf("no command given (run '%s help')", env.Program)
	}
	name, args := env.Args[0], env.Args[1:]
	if slices.Contains([]string{"help", "-h", "-help", "--help"}, name) {
		return help(env, commands, args)
	}
	command, err := find(env, commands, name)
	if err != nil {
		return err
	}
	if err := command.run(ctx, env, args); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func find(env Env, commands []Command, name string) (Command, error) {
	at := slices.IndexFunc(commands, func(c Command) bool { return c.Name == name })
	if at < 0 {
		var names []string
		for _, c := range commands {
			names = append(names, c.Name)
		}
		return Command{}, fmt.Errorf("no command %q; the commands are: %s (run '%s help')", name, strings.Join(names, ", "), env.Program)
	}
	return commands[at], nil
}

func (c Command) run(ctx context.Context, env Env, args []string) error {
	parsed, err := c.parse(env, args)
	if err != nil {
		return err
	}
	if parsed.help {
		return c.help(env)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, parsed.timeout,
		fmt.Errorf("no answer from %s within %s (see --timeout)", parsed.addr, parsed.timeout))
	defer cancel()
	reply, err := c.Call.do(parsed.context(ctx), parsed.addr, parsed.options(), parsed.request)
	if err != nil {
		return explain(ctx, err)
	}
	text, err := format(reply, parsed.json)
	if err != nil {
		return err
	}
	return write(env.Stdout, text)
}

// explain says what the error of a call means to the person who made it.
func explain(ctx context.Context, err error) error {
	if deadline, set := ctx.Deadline(); set && !time.Now().Before(deadline) {
		<-ctx.Done() // the server knows the deadline, too, and may have been first to say so
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s, ok := status.FromError(err); ok {
		return fmt.Errorf("%s: %s", s.Code(), s.Message())
	}
	return err
}

// write is the only one to write to the standard output, and does so once.
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
