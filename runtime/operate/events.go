// Package operate implements a server's subcommand events, which prints stored
// events, moves consumers, and retries or discards dead letters, also while the
// server runs. A program that imports it has that subcommand in its help.
package operate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/terminal"
)

// command is a subcommand of a server's "events".
type command struct {
	name  string // one or two words
	about string // what it does, in a sentence
	// changes is true if it changes the log, and so can't open it for reading only.
	changes bool
	// follows is true if somebody waits for each line.
	follows bool
	// define adds flags, and returns the action to run once they are set.
	define func(*flag.FlagSet) action
}

// action reads or changes a log, and prints lines of JSON.
type action func(ctx context.Context, log eventlog.Log, print func(any) error) error

var commands = []command{
	{"replay", "Prints the stored events.", false, false, replay},
	{"tail", "Prints the stored events and then each new one, until it is interrupted.", false, true, tail},
	{"export", "Writes events to a file, for tests that read it as file:NAME.", false, false, export},
	{"stats", "Prints how much is in the log, which versions of schemas its events have, how far its consumers are, and what they fail at.", false, false, stats},
	{"schemas list", "Prints the versions of the schemas of the stored events, and which events have them.", false, false, listSchemas},
	{"schemas export", "Writes a version of a schema to a file, as protoc and buf read descriptors.", false, false, exportSchema},
	{"check", "Prints how the messages of this program differ from what is stored, and fails if it would misread events.", false, false, check},
	{"consumers list", "Prints the consumers: how far they are, and what they fail at.", false, false, listConsumers},
	{"consumers reset", "Makes a consumer that does not run begin somewhere else when it next does. Its dead letters stay.", true, false, resetConsumer},
	{"consumers delete", "Deletes a consumer that does not run, its position and its dead letters.", true, false, deleteConsumer},
	{"dead list", "Prints the dead letters: events that a consumer gave up on.", false, false, listDead},
	{"dead retry", "Makes a consumer handle dead letters again: within about a second if it is running, else when it starts.", true, false, retryDead},
	{"dead discard", "Deletes dead letters for good.", true, false, discardDead},
}

// Commands are subcommands of "events" that not every program has: [SQL], [Backup].
type Commands map[string]other

// other is a subcommand of "events" that not every program has.
type other struct {
	about string // what it does, in a sentence
	run   func(ctx context.Context, program string, args []string, getenv func(string) string, out io.Writer) error
}

// leftOut are all those, by what they are in. They are in files that the main of a program
// brings by these names.
var leftOut = map[string][]string{
	"operate.SQL":    {"sql"},
	"operate.Backup": {"backup", "copy", "erase", "restore", "verify"},
}

// toHave says how a program gets what it leaves out.
func toHave(commands string) string {
	return "pass " + commands + " to operate.Events in its main, and generate again"
}

func init() { server.Subcommand("events", "prints and operates the event log", eventlog.SchemaFlags) }

// Events runs the subcommand that args name, such as "replay", which prints each
// stored event as a line of JSON. It opens the log that the server itself would
// open: --events and --config are the server's flags. more are the subcommands that not
// every program has. The error is [flag.ErrHelp] if args ask for help.
func Events(ctx context.Context, program string, args []string, getenv func(string) string, out io.Writer, more ...Commands) error {
	others := Commands{}
	for _, commands := range more {
		maps.Copy(others, commands)
	}
	if len(args) > 0 && others[args[0]].run != nil {
		return others[args[0]].run(ctx, program, args[1:], getenv, out)
	}
	command, args := find(args)
	if command == nil {
		if len(args) > 0 && slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
			overview(program, others, out)
			return flag.ErrHelp
		}
		for commands, names := range leftOut {
			if len(args) > 0 && slices.Contains(names, args[0]) {
				return fmt.Errorf("events %s: this program leaves it out; %s", args[0], toHave(commands))
			}
		}
		return fmt.Errorf("want %s events %s (see %[1]s events --help)", program, strings.Join(names(others), "|"))
	}
	name := fmt.Sprintf("%s events %s", program, command.name)
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	url := flags.String("events", server.Defaults(program).Events, "`URL` of the event log")
	act := command.define(flags)
	err := server.ParseSubcommand(flags, program, args, 0, getenv, "events")
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(out, "Usage: %s [flags]\n\n%s Its output is lines of JSON.\n\nFlags:\n", name, command.about)
		flags.SetOutput(out)
		flags.PrintDefaults()
	}
	if err != nil {
		return err
	}
	log, err := command.open(ctx, *url)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(out)
	err = act(ctx, log, func(line any) error {
		err := printLine(buffered, line)
		if err == nil && command.follows {
			err = buffered.Flush()
		}
		return err
	})
	return errors.Join(err, buffered.Flush(), log.Close())
}

// printLine prints a line of JSON.
func printLine(out io.Writer, line any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(line); err != nil {
		return err
	}
	_, err := out.Write(terminal.JSON(text.Bytes()))
	return err
}

// find returns the command with which args begin, and the other args.
func find(args []string) (*command, []string) {
	for i := range commands {
		words := strings.Fields(commands[i].name)
		if len(args) >= len(words) && slices.Equal(args[:len(words)], words) {
			return &commands[i], args[len(words):]
		}
	}
	return nil, args
}

func names(others Commands) (names []string) {
	for _, command := range commands {
		names = append(names, command.name)
	}
	return append(names, slices.Sorted(maps.Keys(others))...)
}

func overview(program string, others Commands, out io.Writer) {
	fmt.Fprintf(out, "Usage: %s events COMMAND [flags]\n\nCommands:\n", program)
	for _, command := range commands {
		fmt.Fprintf(out, "  %-16s %s\n", command.name, command.about)
	}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		fmt.Fprintf(out, "  %-16s %s\n", name, others[name].about)
	}
	fmt.Fprintf(out, "\nFlags of a command: %s events COMMAND --help\n", program)
	for _, commands := range slices.Sorted(maps.Keys(leftOut)) {
		if names := leftOut[commands]; others[names[0]].run == nil {
			fmt.Fprintf(out, "\nThis program leaves out %s; %s.\n", strings.Join(names, ", "), toHave(commands))
		}
	}
}

// open opens a log that exists. Opening it for reading first makes sure that a
// mistyped URL is an error, and does not create a log.
func (c *command) open(ctx context.Context, url string) (eventlog.Log, error) {
	log, err := eventlog.OpenReader(ctx, url)
	if err != nil || !c.changes {
		return log, err
	}
	if err := log.Close(); err != nil {
		return nil, err
	}
	return eventlog.OpenUnchecked(ctx, url)
}

func replay(flags *flag.FlagSet) action {
	from := fromFlags(flags)
	return func(ctx context.Context, log eventlog.Log, print func(any) error) error {
		from, err := from()
		if err != nil {
			return err
		}
		return each(log.Read(ctx, from), func(record eventlog.Record) error { return print(eventLine(record)) })
	}
}

func tail(flags *flag.FlagSet) action {
	from := fromFlags(flags)
	return func(ctx context.Context, log eventlog.Log, print func(any) error) error {
		from, err := from()
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = each(log.Tail(ctx, from), func(record eventlog.Record) error { return print(eventLine(record)) })
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
}

func stats(*flag.FlagSet) action {
	return func(ctx context.Context, log eventlog.Log, print func(any) error) error {
		stats, err := log.Stats(ctx)
		if err != nil {
			return err
		}
		schemas, err := eventlog.Schemas(ctx, log)
		if err != nil {
			return err
		}
		return print(logLine(stats, schemas))
	}
}

func listDead(flags *flag.FlagSet) action {
	consumer := flags.String("consumer", "", "print those of this `consumer` only")
	return func(ctx context.Context, log eventlog.Log, print func(any) error) error {
		return each(log.Dead(ctx, *consumer), func(letter eventlog.DeadLetter) error { return print(deadLetterLine(letter)) })
	}
}

func retryDead(flags *flag.FlagSet) action {
	letters := lettersFromFlags(flags)
	return func(ctx context.Context, log eventlog.Log, print func(any) error) error {
		count, err := letters.change(ctx, log.Retry)
		if err != nil {
			return err
		}
		return print(struct {
			Consumer string `json:"consumer"`
			Retrying int    `json:"retrying"`
		}{*letters.consumer, count})
	}
}

func discardDead(flags *flag.FlagSet) action {
	letters := lettersFromFlags(flags)
	all := flags.Bool("all", false, "discard all dead letters of the consumer")
	return func(ctx context.Context, log eventlog.Log, print func(any) error) error {
		if *all == (len(letters.positions) > 0) {
			return errors.New("say which to discard: give --position once or several times, or --all")
		}
		count, err := letters.change(ctx, log.Discard)
		if err != nil {
			return err
		}
		return print(struct {
			Consumer  string `json:"consumer"`
			Discarded int    `json:"discarded"`
		}{*letters.consumer, count})
	}
}

// letters are the dead letters that flags name.
type letters struct {
	consumer  *string
	positions []eventlog.Position
}

func lettersFromFlags(flags *flag.FlagSet) *letters {
	l := &letters{consumer: flags.String("consumer", "", "the `consumer` that gave up on them")}
	flags.Func("position", "only the event at this `position`; may be given several times", func(text string) error {
		position, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return errors.New("want a number, such as 17")
		}
		l.positions = append(l.positions, eventlog.Position(position))
		return nil
	})
	return l
}

// change changes the dead letters, at least one.
func (l *letters) change(ctx context.Context, change func(context.Context, string, ...eventlog.Position) (int, error)) (int, error) {
	if *l.consumer == "" {
		return 0, errors.New("--consumer is missing: dead list prints the consumers that have dead letters")
	}
	count, err := change(ctx, *l.consumer, l.positions...)
	if err == nil && count == 0 {
		err = fmt.Errorf("consumer %q has no such dead letters: dead list prints those there are", *l.consumer)
	}
	return count, err
}

// fromFlags defines the flags for where to begin, and returns a function that reads
// them.
func fromFlags(flags *flag.FlagSet) func() (eventlog.From, error) {
	after := flags.Int64("after", 0, "begin after this `position`")
	since := flags.String("since", "", "begin at this `time`, such as 2026-11-22T17:05:00Z or, for 90 minutes ago, 90m")
	return func() (eventlog.From, error) {
		if *since == "" {
			return eventlog.After(eventlog.Position(*after)), nil
		}
		if *after != 0 {
			return eventlog.From{}, errors.New("--after and --since exclude each other: give only one of them")
		}
		at, err := parseTime("since", *since)
		return eventlog.Since(at), err
	}
}

// untilFlag defines the flag for where to end, and returns a function that reads it.
func untilFlag(flags *flag.FlagSet) func() (time.Time, error) {
	until := flags.String("until", "", "only events stored before this `time`, such as 2026-11-22T17:05:00Z or, for 90 minutes ago, 90m")
	return func() (time.Time, error) {
		if *until == "" {
			return time.Time{}, nil
		}
		return parseTime("until", *until)
	}
}

// parseTime parses the time that a flag gives, or how long ago it is.
func parseTime(flag, text string) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("--%s %q: want a time such as 2026-11-22T17:05:00Z or, for 90 minutes ago, 90m", flag, text)
	}
	return at, nil
}

// each calls do with each item of a sequence, up to the first error.
func each[T any](sequence iter.Seq2[T, error], do func(T) error) error {
	for item, err := range sequence {
		if err == nil {
			err = do(item)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
