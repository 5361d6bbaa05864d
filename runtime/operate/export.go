package operate

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/file"
)

func export(flags *flag.FlagSet) action {
	from := fromFlags(flags)
	to := flags.String("to", "", "the `file` to write, such as testdata/sample.ndjson; it is replaced")
	kind := flags.String("type", "", "only events of this `type`")
	most := flags.Int("sample", 0, "at most so many `events`, chosen at random, and about as many of each type; 0 for all")
	redact := flags.String("redact", "", "`fields` whose values are replaced, such as subject,data.email")
	return func(ctx context.Context, log eventlog.Log, print func(any) error) error {
		from, err := from()
		switch {
		case err != nil:
			return err
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
		records := unerased(log.Read(ctx, from))
		if *kind != "" {
			records = ofType(records, *kind)
		}
		if *most > 0 {
			records = sample(records, *most)
		}
		count := 0
		err = replaceFile(*to, func(to *bufio.Writer) error {
			for record, err := range records {
				if err == nil {
					err = redaction.apply(&record)
				}
				if err == nil {
					err = file.Write(to, record)
				}
				if err != nil {
					return err
				}
				count++
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

// ofType yields the events of a type.
func ofType(records iter.Seq2[eventlog.Record, error], kind string) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for record, err := range records {
			if (err != nil || record.Type == kind) && !yield(record, err) {
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
