//runtime:used

package operate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// task is a subcommand of "events" that takes names besides flags, and opens the logs that
// it needs itself. It prints lines of JSON, and ends by itself or when it is interrupted.
type task struct {
	name, about string
	names       string // as the usage has them, such as "FILE"
	least, most int    // how many there may be
	// define adds flags, and returns what to run once they are set.
	define func(*flag.FlagSet) func(ctx context.Context, call taskCall) error
	shared []string // its flags that the server has, besides --events
}

// taskCall is what a task is called with.
type taskCall struct {
	url   string   // of the log of the server, unless --events names another
	names []string // its arguments
	print func(any) error
}

// Backup has the subcommands that back up, restore, copy and verify a log, and that erase
// from it.
var Backup = Commands{}

func init() {
	for _, task := range []task{backupTask, copyTask, eraseTask, restoreTask, verifyTask} {
		Backup[task.name] = other{task.about, task.run}
	}
}

func (t task) run(ctx context.Context, program string, args []string, getenv func(string) string, out io.Writer) error {
	flags := flag.NewFlagSet(program+" events "+t.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	url := flags.String("events", server.Defaults(program).Events, "`URL` of the event log")
	act := t.define(flags)
	err := server.ParseSubcommand(flags, program, args, t.most, getenv, append(t.shared, "events")...)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(out, "Usage: %s %s [flags]\n\n%s Its output is lines of JSON.\n\nFlags:\n", flags.Name(), t.names, t.about)
		flags.SetOutput(out)
		flags.PrintDefaults()
	}
	if err != nil {
		return err
	}
	if flags.NArg() < t.least {
		return fmt.Errorf("want %s %s (see %[1]s --help)", flags.Name(), t.names)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	return act(ctx, taskCall{*url, flags.Args(), func(line any) error { return printLine(out, line) }})
}
