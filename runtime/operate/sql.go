//runtime:used

package operate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate/query"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// SQL has the subcommand that answers queries. With it, exports may be CSV.
var SQL = Commands{"sql": {aboutSQL, answer}}

const aboutSQL = "Answers a query in SQL, or, without one, those that are entered."

// answer is the subcommand sql.
func answer(ctx context.Context, program string, args []string, getenv func(string) string, out io.Writer) error {
	name := program + " events sql"
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	url := flags.String("events", server.Defaults(program).Events, "`URL` of the event log")
	output := flags.String("output", "", "print answers as `table`, csv or json; without it as a table on a terminal, and else as lines of JSON")
	fast := flags.Bool("fast", false, "answer without pauses while a server appends to the log")
	chosen := rangeFromFlags(flags)
	err := server.ParseSubcommand(flags, program, args, 1, getenv, "events")
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(out, "Usage: %s [QUERY] [flags]\n\n%s\n"+
			"There is a view for each type of message, with a column for each of its fields, and the view\n"+
			"events of all; .schema as the QUERY prints them. Nothing can be changed.\n\nFlags:\n", name, aboutSQL)
		flags.SetOutput(out)
		flags.PrintDefaults()
	}
	if err != nil {
		return err
	}
	if *output == "" {
		*output = "json"
		if isTerminal(out) {
			*output = "table"
		}
	}
	if !slices.Contains(query.Formats, *output) {
		return fmt.Errorf("--output %s: want %s", *output, strings.Join(query.Formats, ", "))
	}
	query.GiveWay()
	db, err := openDB(ctx, *url, chosen)
	if err != nil {
		return err
	}
	if *fast {
		db.Hurry()
	}
	session := query.Session{DB: db, Out: out, Notes: os.Stderr, Format: *output}
	if flags.NArg() == 1 {
		err = session.Run(ctx, flags.Arg(0))
	} else {
		err = session.Shell(ctx, os.Stdin, program+"/events-sql")
	}
	return errors.Join(err, db.Close())
}

// openDB opens the events of a log for queries.
func openDB(ctx context.Context, url string, chosen func(context.Context, eventlog.Log) (query.Range, error)) (*query.DB, error) {
	log, err := eventlog.OpenReader(ctx, url)
	if err != nil {
		return nil, err
	}
	events, err := chosen(ctx, log)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	progress := newProgress(os.Stderr, "copied", 0)
	db, err := query.Open(ctx, log, events, func(copied int) { progress.show(int64(copied)) })
	progress.end()
	if closed := log.Close(); err == nil && closed != nil {
		return nil, errors.Join(closed, db.Close())
	}
	return db, err
}

// rangeFromFlags defines the flags for which events there are, and returns a function that
// reads them.
func rangeFromFlags(flags *flag.FlagSet) func(context.Context, eventlog.Log) (query.Range, error) {
	from, until := fromFlags(flags), untilFlag(flags)
	kind := flags.String("type", "", "only events of this `type`")
	return func(ctx context.Context, log eventlog.Log) (query.Range, error) {
		events := query.Range{Type: *kind}
		from, err := from()
		if err == nil {
			events.Until, err = until()
		}
		if err != nil {
			return events, err
		}
		events.After = from.After
		if !from.Since.IsZero() {
			stats, err := log.Stats(ctx)
			if err == nil {
				events.After, err = positionBefore(ctx, log, from, stats)
			}
			return events, err
		}
		return events, nil
	}
}
