package operate

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/file"
)

// Format writes events to a file, and returns how many. message is what was asked for by the
// flag --message: the name of a type of message, or "".
type Format func(ctx context.Context, to io.Writer, log eventlog.Log, message string, events iter.Seq2[eventlog.Record, error]) (int, error)

var formats = map[string]Format{"ndjson": writeLines}

// RegisterFormat makes a format known to the subcommand export.
func RegisterFormat(name string, format Format) { formats[name] = format }

// parquetPackage is the one that has the format parquet.
const parquetPackage = "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate/parquet"

// findFormat returns the format with a name.
func findFormat(name string) (Format, error) {
	if format := formats[name]; format != nil {
		return format, nil
	}
	known := strings.Join(slices.Sorted(maps.Keys(formats)), ", ")
	switch name {
	case "csv":
		return nil, fmt.Errorf("--format csv: this program has only %s; %s", known, toHave("operate.SQL"))
	case "parquet":
		return nil, fmt.Errorf("--format parquet: this program has only %s; import _ %q in its main, and generate again", known, parquetPackage)
	}
	return nil, fmt.Errorf("--format %s: want %s", name, known)
}

func export(flags *flag.FlagSet) action {
	from, until := fromFlags(flags), untilFlag(flags)
	to := flags.String("to", "", "the `file` to write, such as testdata/sample.ndjson; it is replaced")
	name := flags.String("format", "ndjson", "`ndjson`, csv or parquet. The last two have the columns of the views of events sql, and one type of message in a file")
	message := flags.String("message", "", "with csv and parquet, the type of `message`, if the log has several")
	kind := flags.String("type", "", "only events of this `type`")
	most := flags.Int("sample", 0, "at most so many `events`, chosen at random, and about as many of each type; 0 for all")
	redact := flags.String("redact", "", "`fields` whose values are replaced, such as subject,data.email")
	return func(ctx context.Context, log eventlog.Log, print func(any) error) error {
		from, err := from()
		var end time.Time
		if err == nil {
			end, err = until()
		}
		format, unknown := findFormat(*name)
		switch {
		case err != nil:
			return err
		case unknown != nil:
			return unknown
		case *to == "":
			return errors.New("--to is missing: give the file to write, such as --to testdata/sample.ndjson")
		case *most < 0:
			return fmt.Errorf("--sample %d: want a number of events", *most)
		}
		paths := strings.FieldsFunc(*redact, func(r rune) bool { return r == ',' || r == ' ' })
		redaction, err := newRedaction(paths)
		if err != nil {
			return err
		}
		progress := newProgress(os.Stderr, "read", 0)
		defer progress.end()
		records := unerased(watched(ctx, log, from, progress))
		if *kind != "" || !end.IsZero() {
			records = only(records, func(record *eventlog.Record) bool {
				return (*kind == "" || record.Type == *kind) && (end.IsZero() || record.Recorded.Before(end))
			})
		}
		if *most > 0 {
			records = sample(records, *most)
		}
		count := 0
		err = replaceFile(*to, func(to *bufio.Writer) (err error) {
			if count, err = format(ctx, to, log, *message, redacted(records, redaction)); err != nil {
				return err
			}
			return redaction.missing()
		})
		if err != nil {
			return err
		}
		return print(struct {
			File     string `json:"file"`
			Exported int    `json:"exported"`
		}{*to, count})
	}
}

// redacted yields the events without what is to be redacted.
func redacted(records iter.Seq2[eventlog.Record, error], redaction *redaction) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for record, err := range records {
			if err == nil {
				err = redaction.apply(&record)
			}
			if !yield(record, err) {
				return
			}
		}
	}
}

// writeLines is the format ndjson, which package file reads.
func writeLines(_ context.Context, to io.Writer, _ eventlog.Log, _ string, events iter.Seq2[eventlog.Record, error]) (count int, err error) {
	err = each(events, func(record eventlog.Record) error {
		count++
		return file.Write(to, record)
	})
	return count, err
}

// unerased yields the events that are not erased.
func unerased(records iter.Seq2[eventlog.Record, error]) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for record, err := range records {
			if (err != nil || !record.Erased) && !yield(record, err) {
				return
			}
		}
	}
}

// only yields some of the events.
func only(records iter.Seq2[eventlog.Record, error], wanted func(*eventlog.Record) bool) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for record, err := range records {
			if (err != nil || wanted(&record)) && !yield(record, err) {
				return
			}
		}
	}
}

// sample yields at most so many events, in order: of each type about as many as of the
// others, if there are, and of those of a type each with the same chance.
func sample(records iter.Seq2[eventlog.Record, error], most int) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		chosen, seen := map[string][]eventlog.Record{}, map[string]int{}
		for record, err := range records {
			if err != nil {
				yield(record, err)
				return
			}
			seen[record.Type]++
			if of := chosen[record.Type]; len(of) < most {
				chosen[record.Type] = append(of, record)
			} else if at := rand.IntN(seen[record.Type]); at < most {
				of[at] = record
			}
		}
		// The types with the fewest events leave what is theirs to the others.
		types := slices.SortedFunc(maps.Keys(chosen), func(a, b string) int { return len(chosen[a]) - len(chosen[b]) })
		var all []eventlog.Record
		for i, kind := range types {
			of := chosen[kind]
			rand.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
			all = append(all, of[:min(len(of), (most-len(all))/(len(types)-i))]...)
		}
		slices.SortFunc(all, func(a, b eventlog.Record) int { return int(a.Position - b.Position) })
		for _, record := range all {
			if !yield(record, nil) {
				return
			}
		}
	}
}

// replaceFile writes a file that others read whole or not at all. Only its owner may read
// it: it may have events that are not redacted.
func replaceFile(name string, write func(*bufio.Writer) error) error {
	temporary, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return fmt.Errorf("--to %s: %w", name, err)
	}
	buffered := bufio.NewWriter(temporary)
	err = write(buffered)
	err = errors.Join(err, buffered.Flush(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}
