//runtime:with operate.Backup

package operate

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

var copyTask = task{
	name: "copy", names: "", least: 0, most: 0,
	about: "Copies a log into another, also of another engine, beside a running server: events unchanged, schemas, consumers and dead letters. If it is interrupted, run it again.",
	define: func(flags *flag.FlagSet) func(context.Context, taskCall) error {
		from := flags.String("from", "", "`URL` of the log to copy; default: that of --events")
		to := flags.String("to", "", "`URL` of the log to copy into: an empty one, or one with a part of the copy")
		return func(ctx context.Context, call taskCall) error {
			if *to == "" {
				return errors.New("--to is missing: give the URL of the log to copy into")
			}
			url := cmp.Or(*from, call.url)
			if isSameLog(url, *to) {
				return fmt.Errorf("%s: this is the log that is copied: name another one by --to", publicName(*to))
			}
			source, err := eventlog.OpenReader(ctx, url)
			if err != nil {
				return err
			}
			defer func() { _ = source.Close() }()
			opened, err := eventlog.OpenUnchecked(ctx, *to)
			if err != nil {
				return err
			}
			defer func() { _ = opened.Close() }()
			target, ok := opened.(eventlog.ImportLog)
			if !ok {
				return fmt.Errorf("%s: this log takes no events of others", publicName(*to))
			}
			copied, err := copyLog(ctx, source, target, call.print)
			if err != nil {
				return err
			}
			return call.print(copied)
		}
	},
}

// isSameLog reports whether two URLs name the same log: also if it is a file that they name
// in different ways.
func isSameLog(a, b string) bool {
	if a == b {
		return true
	}
	one, err := os.Stat(pathOf(a))
	other, failed := os.Stat(pathOf(b))
	return err == nil && failed == nil && os.SameFile(one, other)
}

// How much of a log one import takes.
const (
	importEvents = 256
	importBytes  = 4 << 20
)

// printInterval is how often a copy prints how far it is.
const printInterval = 5 * time.Second

// copyLine is a copy as it is printed.
type copyLine struct {
	Copied    int64             `json:"copied"` // by this call
	Events    int64             `json:"events"` // that both logs have
	First     eventlog.Position `json:"first"`
	Last      eventlog.Position `json:"last"` // of the source
	Repeated  int64             `json:"repeated,omitempty"`
	Positions []relation        `json:"positions,omitempty"`
	Consumers int               `json:"consumers"`
	Dead      int64             `json:"dead"`
	SHA256    string            `json:"sha256"`
}

// relation returns how the positions of a log became those of its copy, from one position on.
type relation struct {
	From  eventlog.Position `json:"from"`
	Moved eventlog.Position `json:"moved"` // what is added to them
}

// copyLog copies what the target does not have yet, checks all of it, and copies the
// consumers and their dead letters.
func copyLog(ctx context.Context, source eventlog.Log, target eventlog.ImportLog, print func(any) error) (line copyLine, err error) {
	at, last, err := copiedUpTo(ctx, source, target)
	if err != nil {
		return line, err
	}
	for more := int64(importEvents); more >= importEvents; line.Copied += more { // what came meanwhile, until that is little
		if more, at, last, err = copyEvents(ctx, source, target, at, last, print); err != nil {
			return line, err
		}
	}
	check, err := compare(ctx, source, target, at, last)
	if err != nil {
		return line, err
	}
	line.Events, line.First, line.Last, line.SHA256 = check.source.events, check.source.first, at, check.source.text()
	line.Repeated, line.Positions = int64(len(check.repeated)), check.relations
	line.Consumers, line.Dead, err = copyConsumers(ctx, source, target, &check)
	return line, err
}

// copyEvents copies the events after a position, and returns how many, and the last
// positions that the source and the target have of them.
func copyEvents(ctx context.Context, source eventlog.Log, target eventlog.ImportLog, after, last eventlog.Position, print func(any) error) (copied int64, _, _ eventlog.Position, err error) {
	var records []eventlog.Record
	bytes, printed := 0, time.Now()
	stats, err := source.Stats(ctx)
	if err != nil {
		return 0, after, last, err
	}
	progress := newProgress(os.Stderr, "copied", int64(stats.Last-max(after, stats.First-1)))
	defer progress.end()
	put := func() error {
		if len(records) == 0 {
			return nil
		}
		positions, err := target.Import(ctx, last, records)
		if err != nil {
			return err
		}
		after, last = records[len(records)-1].Position, max(last, slices.Max(positions))
		copied += int64(len(records))
		records, bytes = records[:0], 0
		if progress.show(copied); progress.out != nil || time.Since(printed) < printInterval {
			return nil
		}
		printed = time.Now()
		return print(struct {
			Copied   int64             `json:"copied"`
			Position eventlog.Position `json:"position"`
		}{copied, after})
	}
	for record, err := range source.Read(ctx, eventlog.After(after)) {
		if err != nil {
			return copied, after, last, err
		}
		records = append(records, record)
		if bytes += record.Size(); len(records) < importEvents && bytes < importBytes {
			continue
		}
		if err := put(); err != nil {
			return copied, after, last, err
		}
	}
	return copied, after, last, put()
}

// copiedUpTo returns up to which position the target has the source, and what its own last
// position is.
func copiedUpTo(ctx context.Context, source, target eventlog.Log) (at, last eventlog.Position, err error) {
	stats, err := target.Stats(ctx)
	if err != nil || stats.Events == 0 {
		return 0, 0, err
	}
	final, err := readAt(ctx, target, stats.Last)
	if err != nil {
		return 0, 0, err
	}
	same, err := readAt(ctx, source, stats.Last)
	if err != nil {
		return 0, 0, err
	}
	if final != nil && same != nil && isCopy(same, final) { // its positions are the same
		return stats.Last, stats.Last, nil
	}
	check, err := compare(ctx, source, target, 0, stats.Last)
	return check.source.last, stats.Last, err
}

// readAt returns the event at a position, or nil if there is none.
func readAt(ctx context.Context, log eventlog.Log, position eventlog.Position) (*eventlog.Record, error) {
	for record, err := range log.Read(ctx, eventlog.After(position-1)) {
		if err != nil || record.Position != position {
			return nil, err
		}
		return &record, nil
	}
	return nil, nil
}

// isCopy reports whether a record of the target is the copy of one of the source. What is
// erased in one of them is erased in the other by the end of the copy, or differs then.
func isCopy(source, target *eventlog.Record) bool {
	return source.Source == target.Source && source.ID == target.ID && source.Recorded.Equal(target.Recorded)
}

// comparison is the result of reading a log and its copy side by side.
type comparison struct {
	source    sum // of what both have
	relations []relation
	// repeated has the events of the source whose source and id an earlier one had, so
	// that the target has not stored them again.
	repeated      []eventlog.Record
	repeatedBytes int
	at            eventlog.Position // up to which both were read, in the source
}

// maxRepeatedBytes limits how many events may be in the source more than once.
const maxRepeatedBytes = 64 << 20

// compare reads two logs side by side, the source up to one position, or as far as the
// target has it if that is 0, and the target up to another. It returns an error unless the
// target has what the source has. Events that the source no longer keeps make no
// difference.
func compare(ctx context.Context, source, target eventlog.Log, at, last eventlog.Position) (check comparison, err error) {
	check.source, check.at = newSum(), at
	progress := newProgress(os.Stderr, "checked", 0)
	defer progress.end()
	next, stop := iter.Pull2(watched(ctx, target, eventlog.From{}, progress))
	defer stop()
	copied, err, ok := next()
	if err != nil {
		return check, err
	}
	begun := false
	for record, err := range source.Read(ctx, eventlog.From{}) {
		if err != nil {
			return check, err
		}
		if at > 0 && record.Position > at || at == 0 && !ok {
			break
		}
		for !begun && ok && !isCopy(&record, &copied) && copied.Recorded.Before(record.Recorded) { // the source has deleted it
			if copied, err, ok = next(); err != nil {
				return check, err
			}
		}
		if !ok || !isCopy(&record, &copied) {
			check.repeated = append(check.repeated, record)
			if check.repeatedBytes += record.Size(); check.repeatedBytes < maxRepeatedBytes {
				continue
			}
			return check, fmt.Errorf("the log that is copied into does not have the event at position %d (source %q, id %q) in its place: copy into an empty log", record.Position, record.Source, record.ID)
		}
		begun = true
		if !equal(&record, &copied) {
			return check, fmt.Errorf("the event at position %d (source %q, id %q) is another one than its copy at position %d: copy into an empty log", record.Position, record.Source, record.ID, copied.Position)
		}
		check.source.add(&record)
		check.relate(record.Position, copied.Position)
		if copied, err, ok = next(); err != nil {
			return check, err
		}
	}
	if ok && copied.Position <= last {
		return check, fmt.Errorf("the log that is copied into has an event at position %d (source %q, id %q) that the other does not have there: copy into an empty log", copied.Position, copied.Source, copied.ID)
	}
	return check, check.findRepeated(ctx, target)
}

func (c *comparison) relate(source, target eventlog.Position) {
	moved := target - source
	if len(c.relations) == 0 || c.relations[len(c.relations)-1].Moved != moved {
		c.relations = append(c.relations, relation{source, moved})
	}
}

// target returns the position in the target of what comes up to a position in the source.
func (c *comparison) target(position eventlog.Position) eventlog.Position {
	var moved eventlog.Position
	for i, relation := range c.relations {
		if relation.From > position {
			if i > 0 { // in a gap: up to the last event before it
				position = min(position, relation.From-1)
			}
			break
		}
		moved = relation.Moved
	}
	return max(0, position+moved)
}

// findRepeated returns an error unless the target has the events that it has not stored
// again.
func (c *comparison) findRepeated(ctx context.Context, target eventlog.Log) error {
	if len(c.repeated) == 0 {
		return nil
	}
	type key struct{ source, id string }
	missing := map[key]*eventlog.Record{}
	for i := range c.repeated {
		missing[key{c.repeated[i].Source, c.repeated[i].ID}] = &c.repeated[i]
	}
	for record, err := range target.Read(ctx, eventlog.From{}) {
		if err != nil {
			return err
		}
		if repeated := missing[key{record.Source, record.ID}]; repeated != nil && (record.Stores(&repeated.Event) || repeated.Stores(&record.Event)) {
			delete(missing, key{record.Source, record.ID})
		}
	}
	for _, record := range missing {
		return fmt.Errorf("the log that is copied into does not have the event at position %d (source %q, id %q), and has others after it: copy into an empty log", record.Position, record.Source, record.ID)
	}
	return nil
}

// copyConsumers makes the consumers of the target those of the source: their positions, and
// their dead letters.
func copyConsumers(ctx context.Context, source, target eventlog.Log, check *comparison) (consumers int, dead int64, err error) {
	stats, err := source.Stats(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, consumer := range stats.Consumers {
		hold, err := target.Hold(ctx, consumer.Name)
		if err != nil {
			return consumers, dead, err
		}
		letters, err := copyConsumer(ctx, source, target, hold, consumer, check)
		if err := errors.Join(err, hold.Release()); err != nil {
			return consumers, dead, err
		}
		consumers, dead = consumers+1, dead+letters
	}
	return consumers, dead, nil
}

func copyConsumer(ctx context.Context, source, target eventlog.Log, hold eventlog.Hold, consumer eventlog.ConsumerStats, check *comparison) (dead int64, err error) {
	if consumer.Position > 0 { // which may be one that came after the copy
		if err := hold.Commit(ctx, check.target(min(consumer.Position, check.at))); err != nil {
			return 0, err
		}
	}
	if known, ok := hold.(eventlog.KeeperHold); ok && known.Keeper() != consumer.Keeper {
		if err := known.SetKeeper(ctx, consumer.Keeper); err != nil {
			return 0, err
		}
	}
	var retrying []eventlog.Position
	kept := map[eventlog.Position]bool{}
	for letter, err := range source.Dead(ctx, consumer.Name) {
		if err != nil {
			return dead, err
		}
		if letter.Position > check.at {
			continue
		}
		letter.Position = check.target(letter.Position)
		if err := hold.PutDead(ctx, letter); err != nil {
			return dead, err
		}
		if kept[letter.Position], dead = true, dead+1; letter.Retrying {
			retrying = append(retrying, letter.Position)
		}
	}
	for letter, err := range target.Dead(ctx, consumer.Name) { // an earlier call copied it
		if err != nil {
			return dead, err
		}
		if !kept[letter.Position] {
			if err := hold.RemoveDead(ctx, letter.Position); err != nil {
				return dead, err
			}
		}
	}
	if len(retrying) > 0 {
		_, err = target.Retry(ctx, consumer.Name, retrying...)
	}
	return dead, err
}
