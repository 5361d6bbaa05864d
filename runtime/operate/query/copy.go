package query

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// copy copies events to a temporary file, as a table that is like the one of a SQLite log.
func (db *DB) copy(ctx context.Context, log eventlog.Log, events Range, progress func(int)) (source, error) {
	from := source{table: "main.events"}
	dir, err := os.MkdirTemp("", "events-sql-") // which only its owner can read
	if err != nil {
		return from, err
	}
	db.remove = func() error { return os.RemoveAll(dir) }
	if err := db.open(ctx, filepath.Join(dir, "events.db"), "rwc"); err != nil {
		return from, err
	}
	for _, statement := range []string{
		"PRAGMA journal_mode = off",
		"PRAGMA synchronous = off",
		`CREATE TABLE events (position INTEGER PRIMARY KEY, recorded TEXT, source TEXT, id TEXT, type TEXT, subject TEXT, time TEXT,
			schema TEXT, version INTEGER, traceparent TEXT, data BLOB)`,
		"BEGIN",
	} {
		if _, err := db.conn.ExecContext(ctx, statement); err != nil {
			return from, err
		}
	}
	// SQLite has the file open, so on most systems it can be removed now, and is gone however
	// this program ends.
	_ = os.RemoveAll(dir)
	insert, err := db.conn.PrepareContext(ctx, "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		return from, err
	}
	defer func() { _ = insert.Close() }()
	numbers, copied := map[string]int64{"": 0}, 0
	for record, err := range log.Read(ctx, eventlog.After(events.After)) {
		if err != nil {
			return from, err
		}
		if !events.has(&record) {
			continue
		}
		number, found := numbers[record.Version]
		if !found {
			number = int64(len(numbers))
			numbers[record.Version] = number
		}
		if record.Erased {
			number = erasedVersion
		}
		_, err := insert.ExecContext(ctx, int64(record.Position), record.Recorded.UTC().Format(timeFormat), record.Source, record.ID, record.Type,
			record.Subject, record.Time.UTC().Format(timeFormat), record.Schema, number, record.Traceparent, record.Data)
		if err != nil {
			return from, fmt.Errorf("the temporary copy of events in %s: %w", dir, err)
		}
		if copied++; progress != nil && copied%1000 == 0 {
			progress(copied)
		}
	}
	from.versions, err = versionsOf(ctx, log, numbers)
	_, commitErr := db.conn.ExecContext(ctx, "COMMIT")
	return from, errors.Join(err, commitErr)
}

// has reports whether an event that comes after the position is of the range.
func (r Range) has(record *eventlog.Record) bool {
	return (r.Until.IsZero() || record.Recorded.Before(r.Until)) && (r.Type == "" || record.Type == r.Type)
}

// versionsOf returns the versions that the log has, by the numbers of the copy.
func versionsOf(ctx context.Context, log eventlog.Log, numbers map[string]int64) (versions []namedVersion, err error) {
	schemas, err := eventlog.Schemas(ctx, log)
	if err != nil {
		return nil, err
	}
	for _, schema := range schemas {
		message, unreadable := schema.Descriptor()
		number, found := numbers[schema.Version]
		if !found { // of no event in the range
			number = int64(len(numbers))
			numbers[schema.Version] = number
		}
		versions = append(versions, namedVersion{schema.Name, version{number, message, unreadable}})
	}
	return versions, nil
}
