// Package file reads events from a file that a program exported, for tests. Import it for
// [eventlog.OpenReader] to know URLs such as file:testdata/sample.ndjson.
//
// Each line of the file is an event in JSON, as the subcommands "events export" and
// "events replay" of a server print it, in the order of their positions. People may edit
// it. The log can't be changed, and has no consumers.
package file

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

func init() { eventlog.Register(open, "file") }

// log is the events of a file, in memory.
type log struct {
	records []eventlog.Record
	bytes   int64
	open    context.Context // ends when the log is closed, with ErrClosed as its cause
	close   context.CancelCauseFunc
}

func open(_ context.Context, url string, mode eventlog.Mode) (eventlog.Log, error) {
	name := strings.TrimPrefix(url, "file:")
	if mode != eventlog.ReadOnly {
		return nil, fmt.Errorf("event log %s: events in a file can only be read", url)
	}
	text, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("event log %s: %w", url, err)
	}
	defer text.Close()
	l := &log{}
	lines := bufio.NewReader(text)
	for number := 1; ; number++ {
		line, end := lines.ReadBytes('\n')
		if end != nil && !errors.Is(end, io.EOF) {
			return nil, fmt.Errorf("event log %s: %w", url, end)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			record, err := parse(line)
			if err == nil {
				err = l.add(record)
			}
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, number, err)
			}
		}
		if end != nil {
			break
		}
	}
	l.open, l.close = context.WithCancelCause(context.Background())
	return l, nil
}

// add adds an event, at the position that its line has, or the next.
func (l *log) add(record eventlog.Record) error {
	last := eventlog.Position(0)
	if len(l.records) > 0 {
		last = l.records[len(l.records)-1].Position
	}
	if record.Position == 0 {
		record.Position = last + 1
	}
	if record.Position <= last {
		return fmt.Errorf("position %d comes after %d: each must be greater than the one before; leave them out to have them numbered", record.Position, last)
	}
	if record.Time.IsZero() {
		record.Time = record.Recorded
	}
	if _, err := eventlog.Validate([]eventlog.Event{record.Event}); err != nil {
		return err
	}
	l.records = append(l.records, record)
	l.bytes += int64(record.Size())
	return nil
}

// errReadOnly is the error of all changes.
var errReadOnly = &eventlog.Error{Kind: eventlog.ErrReadOnly}

// usable returns the error of a call that the log can't serve, or nil.
func (l *log) usable(ctx context.Context) error {
	switch {
	case l.open.Err() != nil:
		return context.Cause(l.open)
	case ctx.Err() != nil:
		return eventlog.Ended(ctx)
	}
	return nil
}

// changed returns the error of a change.
func (l *log) changed(ctx context.Context) error {
	if err := l.usable(ctx); err != nil {
		return err
	}
	return errReadOnly
}

// Append implements [eventlog.Log].
func (l *log) Append(ctx context.Context, _ ...eventlog.Event) ([]eventlog.Receipt, error) {
	return nil, l.changed(ctx)
}

// Read implements [eventlog.Log].
func (l *log) Read(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for _, record := range l.records {
			if err := l.usable(ctx); err != nil {
				yield(eventlog.Record{}, err)
				return
			}
			if from.Since.IsZero() && record.Position <= from.After || record.Recorded.Before(from.Since) {
				continue
			}
			if record.Data = slices.Clone(record.Data); !yield(record, nil) {
				return
			}
		}
		if err := l.usable(ctx); err != nil {
			yield(eventlog.Record{}, err)
		}
	}
}

// Tail implements [eventlog.Log]. No events come after those that Read yields.
func (l *log) Tail(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for record, err := range l.Read(ctx, from) {
			if !yield(record, err) || err != nil {
				return
			}
		}
		select {
		case <-ctx.Done():
		case <-l.open.Done():
		}
		yield(eventlog.Record{}, l.usable(ctx))
	}
}

// Hold implements [eventlog.Log].
func (l *log) Hold(ctx context.Context, _ string) (eventlog.Hold, error) { return nil, l.changed(ctx) }

// Dead implements [eventlog.Log]. There are no dead letters.
func (l *log) Dead(ctx context.Context, _ string) iter.Seq2[eventlog.DeadLetter, error] {
	return func(yield func(eventlog.DeadLetter, error) bool) {
		if err := l.usable(ctx); err != nil {
			yield(eventlog.DeadLetter{}, err)
		}
	}
}

// Retry implements [eventlog.Log].
func (l *log) Retry(ctx context.Context, _ string, _ ...eventlog.Position) (int, error) {
	return 0, l.changed(ctx)
}

// Discard implements [eventlog.Log].
func (l *log) Discard(ctx context.Context, _ string, _ ...eventlog.Position) (int, error) {
	return 0, l.changed(ctx)
}

// Stats implements [eventlog.Log].
func (l *log) Stats(ctx context.Context) (eventlog.Stats, error) {
	if err := l.usable(ctx); err != nil {
		return eventlog.Stats{}, err
	}
	stats := eventlog.Stats{Events: int64(len(l.records)), Bytes: l.bytes, Durability: eventlog.None}
	if len(l.records) > 0 {
		first, last := l.records[0], l.records[len(l.records)-1]
		stats.First, stats.Last, stats.Oldest = first.Position, last.Position, first.Recorded
	}
	return stats, nil
}

// Check implements [eventlog.Log].
func (l *log) Check(ctx context.Context) error { return l.changed(ctx) }

// Close implements [eventlog.Log].
func (l *log) Close() error {
	l.close(&eventlog.Error{Kind: eventlog.ErrClosed})
	return nil
}
