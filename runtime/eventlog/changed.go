package eventlog

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/compat"
)

// SchemaChange is how a message type of this program differs from what it was when events
// were stored that a log still keeps.
type SchemaChange struct {
	compat.Finding
	// Schema is the full name of the message that is stored.
	Schema string
	// Versions are those from which it differs so.
	Versions []string
	// Events is how many stored events have what the finding is about, as [CountEvents]
	// counts them; First and Last are the positions of the first and the last of them.
	Events      int64
	First, Last Position

	findings []compat.Finding // by the index of Versions
}

// String returns the change as a sentence without an end, with how many events have it.
func (c *SchemaChange) String() string {
	stored := ""
	switch {
	case c.Events == 1:
		stored = fmt.Sprintf(" in 1 event (position %d)", c.First)
	case c.Events > 1:
		stored = fmt.Sprintf(" in %s events (positions %d–%d)", thousands(c.Events), c.First, c.Last)
	}
	return c.Schema + ": " + c.Text(stored)
}

// thousands returns a number with a comma before every three digits.
func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// SchemaChanges compares the message types that this program reads as events with all
// versions of them that a log keeps. It does not read events. If a version can't be read, that
// is an error.
func SchemaChanges(ctx context.Context, log Log) ([]*SchemaChange, error) {
	changes, unreadable, err := compareSchemas(ctx, log)
	if err == nil && unreadable != nil {
		return nil, uncomparable(unreadable)
	}
	return changes, err
}

// uncomparable returns the error about versions that can't be read.
func uncomparable(unreadable error) error {
	return fmt.Errorf("%w\nSo it is not known whether this program would misread stored events. "+
		"If that does not matter, start the server with --accept-schema-change", unreadable)
}

// compareSchemas compares the versions that can be read, and returns why the others can't.
func compareSchemas(ctx context.Context, log Log) (changes []*SchemaChange, unreadable, err error) {
	schemas, err := Schemas(ctx, log)
	if err != nil {
		return nil, nil, err
	}
	for _, schema := range schemas {
		kind, known := FindMessage(schema.Name)
		if !known || versionOf(kind.Descriptor()) == schema.Version {
			continue
		}
		was, err := schema.Descriptor()
		if err != nil {
			unreadable = errors.Join(unreadable, err)
			continue
		}
		for _, finding := range compat.Compare(was, kind.Descriptor()) {
			at := slices.IndexFunc(changes, func(c *SchemaChange) bool {
				return c.Schema == schema.Name && c.Text("") == finding.Text("")
			})
			if at < 0 {
				at = len(changes)
				changes = append(changes, &SchemaChange{Finding: finding, Schema: schema.Name})
			}
			changes[at].Versions = append(changes[at].Versions, schema.Version)
			changes[at].findings = append(changes[at].findings, finding)
		}
	}
	return changes, unreadable, nil
}

// CountEvents reads a log to the end, its dead letters too, and sets of each change which
// events have what it is about. Those that can't be read even as what they were are not
// counted.
func CountEvents(ctx context.Context, log Log, changes []*SchemaChange) error {
	return countEvents(ctx, log, changes, func(Position) {})
}

// countEvents is CountEvents. It calls read after each event.
func countEvents(ctx context.Context, log Log, changes []*SchemaChange, read func(at Position)) error {
	byVersion := map[string][]func(protoreflect.Message, Position){}
	for _, change := range changes {
		for i, version := range change.Versions {
			byVersion[version] = append(byVersion[version], func(message protoreflect.Message, at Position) {
				if !change.findings[i].Affects(message) {
					return
				}
				if change.Events++; change.Events == 1 || at < change.First {
					change.First = at
				}
				change.Last = max(change.Last, at)
			})
		}
	}
	if len(byVersion) == 0 {
		return nil
	}
	count := func(record *Record) {
		if counters := byVersion[record.Version]; len(counters) > 0 {
			if message, err := Decode(record.Event); err == nil {
				for _, count := range counters {
					count(message.ProtoReflect(), record.Position)
				}
			}
		}
	}
	var first Position // of the events; dead letters before it have none of them any longer
	for record, err := range log.Read(ctx, From{}) {
		if err != nil {
			return err
		}
		if first == 0 {
			first = record.Position
		}
		count(&record)
		read(record.Position)
	}
	seen := map[Position]bool{} // several consumers may have one event
	for letter, err := range log.Dead(ctx, "") {
		if err != nil {
			return err
		}
		if (first == 0 || letter.Position < first) && !seen[letter.Position] {
			seen[letter.Position] = true
			count(&letter.Record)
		}
	}
	return nil
}

// MisreadError reports that this program would misread events that are stored.
type MisreadError struct {
	// Changes are those that misread events, each of them with their number.
	Changes []*SchemaChange
}

// Error has a line for each change.
func (e *MisreadError) Error() string {
	var text strings.Builder
	text.WriteString("this program would misread stored events:")
	for _, change := range e.Changes {
		text.WriteString("\n\t" + change.String())
	}
	text.WriteString("\nChange the proto back, and give what is new a field, or a value of the enum, with a number that was never used. " +
		"If it does not matter that these events are read as something else, start the server with --accept-schema-change.")
	return text.String()
}

// Misread returns a [MisreadError] about the changes that misread events on the wire, or nil if
// there are none. It leaves out changes that no counted event has.
func Misread(changes []*SchemaChange) error {
	misread := slices.DeleteFunc(slices.Clone(changes), func(c *SchemaChange) bool { return !c.Misreads() || c.Events == 0 })
	if len(misread) == 0 {
		return nil
	}
	return &MisreadError{misread}
}

// checkSchemas returns a [MisreadError] if this program would misread stored events. If that
// is accepted, it is logged instead. A version that can't be read is an error, too. Events are only read if some may be misread.
func checkSchemas(ctx context.Context, log Log) error {
	changes, unreadable, err := compareSchemas(ctx, log)
	if unreadable != nil && !acceptsChange.Load() {
		return uncomparable(unreadable)
	}
	if unreadable != nil {
		slog.WarnContext(ctx, "it is not known whether stored events are misread, as --accept-schema-change accepts", "error", unreadable)
	}
	changes = slices.DeleteFunc(changes, func(c *SchemaChange) bool { return !c.Misreads() })
	if err != nil || len(changes) == 0 {
		return err
	}
	if acceptsChange.Load() {
		for _, change := range changes {
			slog.WarnContext(ctx, "stored events that have this are misread, as --accept-schema-change accepts", "change", change.String(), "versions", change.Versions)
		}
		return nil
	}
	for _, change := range changes {
		slog.InfoContext(ctx, "looking through the event log: events would be misread that have this", "change", change.String())
	}
	stats, err := log.Stats(ctx)
	if err != nil {
		return err
	}
	reported := time.Now()
	err = countEvents(ctx, log, changes, func(at Position) {
		if now := time.Now(); now.Sub(reported) >= reportEvery {
			reported = now
			slog.InfoContext(ctx, "still looking through the event log", "position", at, "last", stats.Last)
		}
	})
	if err != nil {
		return err
	}
	return Misread(changes)
}

// reportEvery is how often a check that takes long logs how far it is.
var reportEvery = 10 * time.Second

// acceptsChange is true if [Open] opens logs whose events are misread.
var acceptsChange atomic.Bool

// SchemaFlags defines --accept-schema-change, with which [Open] opens a log although this
// program would misread some of its events, and logs that. It does so in the whole process.
func SchemaFlags(flags *flag.FlagSet) {
	acceptsChange.Store(false)
	flags.Var(acceptance{}, "accept-schema-change", "start although the messages of stored events have changed so that they are misread, which is logged")
}

// acceptance is the value of the flag.
type acceptance struct{}

func (acceptance) IsBoolFlag() bool { return true }

func (acceptance) String() string { return strconv.FormatBool(acceptsChange.Load()) }

func (acceptance) Set(text string) error {
	accepts, err := strconv.ParseBool(text)
	if err != nil {
		return errors.New("want true or false")
	}
	acceptsChange.Store(accepts)
	return nil
}
