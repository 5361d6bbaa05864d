//runtime:used

package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
)

// Extension is what a program has besides a command for each RPC: a command of its own,
// flags of the others, or both. See [With].
type Extension struct {
	command Command // has no name if there is none
	tool    tool
	flags   func(Command, Env, *flag.FlagSet) added
}

// tool is what a command of an extension does.
type tool struct {
	run      func(ctx context.Context, env Env, commands []Command, args []string) error
	complete func(env Env, before []string) []string // the words that may follow
	plan     func() any                              // of one that measures another command
}

// added is what an extension adds to a command.
type added struct {
	title  string                              // of its flags in the help
	names  []string                            // of its flags
	parsed func(*parsed) error                 // is called once the flags have their values
	values func(env Env, flag string) []string // of one of its flags; may be nil
	end    func() error                        // is called after the last reply; may be nil
}

// extended is what a command has by extensions: flags, or itself.
type extended struct {
	flags []func(Command, Env, *flag.FlagSet) added
	tool  tool
}

// With returns the commands with extensions: [From], [Contexts], [Output], [Completion]
// and [Bench] are those that there are. A command of an extension has precedence over
// that of an RPC with its name, which the end of its service's name must then precede.
//
// A program with extensions ends with exit code 2 if the command line can't be understood.
//
//	func main() { os.Exit(command.Main("receiver-client", command.With(commands, command.From, command.Completion))) }
func With(commands []Command, extensions ...Extension) []Command {
	all := slices.Clone(commands)
	var flags []func(Command, Env, *flag.FlagSet) added
	for _, extension := range extensions {
		if extension.flags != nil {
			flags = append(flags, extension.flags)
		}
	}
	for i := range all {
		all[i].extended = extended{flags: flags}
	}
	for _, extension := range extensions {
		if extension.command.Name != "" {
			extension.command.extended = extended{tool: extension.tool}
			all = append(all, extension.command)
		}
	}
	return all
}

func (c Command) extension() extended {
	e, _ := c.extended.(extended)
	return e
}

func (p *parsed) additions() []added {
	all, _ := p.extended.([]added)
	return all
}

func init() {
	extend = &extending{runExtended, defineAdded, parsedAdded, helpAdded}
}

func defineAdded(p *parsed, set *flag.FlagSet, env Env, c Command) {
	var all []added
	for _, flags := range c.extension().flags {
		all = append(all, flags(c, env, set))
	}
	p.extended = all
}

func parsedAdded(p *parsed) error {
	for _, added := range p.additions() {
		if added.parsed == nil {
			continue
		}
		if err := added.parsed(p); err != nil {
			return err
		}
	}
	return nil
}

func helpAdded(p *parsed, section func(title string, flags []string)) {
	for _, added := range p.additions() {
		if len(added.names) > 0 {
			section(added.title, added.names)
		}
	}
}

// runExtended runs a command line, as Run promises.
func runExtended(ctx context.Context, env Env, commands []Command) error {
	if len(env.Args) == 0 {
		return misused(fmt.Errorf("no command given (run '%s help')", env.Program))
	}
	name, args := env.Args[0], env.Args[1:]
	if slices.Contains(builtin, name) {
		if len(args) != 1 {
			return misused(help(env, commands, args))
		}
		name, args = args[0], []string{"--help"}
	}
	command, err := find(env, commands, name)
	if err != nil {
		return misused(err)
	}
	if tool := command.extension().tool; tool.run != nil {
		err = tool.run(ctx, env, commands, args)
	} else {
		err = command.runAdded(ctx, env, args)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", command.Name, err)
	}
	return nil
}

func (c Command) runAdded(ctx context.Context, env Env, args []string) error {
	p, err := c.parse(env, args)
	switch {
	case err != nil:
		return misused(err)
	case p.help:
		return c.help(env)
	case p.instead != nil:
		return p.instead(ctx)
	}
	err = c.call(ctx, env, p)
	for _, added := range p.additions() {
		if added.end != nil {
			err = errors.Join(err, added.end())
		}
	}
	return err
}

// exit is an error with an exit code of its own.
type exit struct {
	error
	code int
}

func (e exit) Unwrap() error { return e.error }
func (e exit) ExitCode() int { return e.code }

// exitMisused is the exit code after a command line that can't be understood.
const exitMisused = 2

func misused(err error) error {
	if err == nil {
		return nil
	}
	return exit{err, exitMisused}
}

func exitCode(err error) int {
	var e exit
	if errors.As(err, &e) {
		return e.code
	}
	return 1
}
