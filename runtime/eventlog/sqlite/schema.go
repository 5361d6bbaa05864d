package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
)

// applicationID marks a SQLite file as an event log, so that no other
// application's database is taken for one: PRAGMA application_id, "evlg".
const applicationID = 0x65766c67

// migrations lead from each version of the schema to the next: the first makes
// version 1 out of an empty file. A released one never changes, and so the table
// names positions and giving up as the first version did: place, buried.
var migrations = []string{
	`CREATE TABLE events (
		position INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice
		source   TEXT NOT NULL,
		id       TEXT NOT NULL,
		type     TEXT NOT NULL,
		subject  TEXT NOT NULL,
		time     TEXT NOT NULL, -- when it happened: 2006-01-02T15:04:05.000000000Z
		recorded TEXT NOT NULL, -- when it was stored, in the same format
		schema   TEXT NOT NULL, -- full name of the protobuf message in data
		data     BLOB NOT NULL,
		UNIQUE (source, id)
	)`,
	`CREATE TABLE consumers (
		number INTEGER PRIMARY KEY, -- names the file that is locked while it runs
		name   TEXT NOT NULL UNIQUE,
		place  INTEGER -- the position up to which it has handled everything; NULL: it is new
	);
	CREATE TABLE dead_letters ( -- whole, so that they outlast the events
		consumer TEXT NOT NULL,
		position INTEGER NOT NULL, -- this and the next as in events
		source   TEXT NOT NULL,
		id       TEXT NOT NULL,
		type     TEXT NOT NULL,
		subject  TEXT NOT NULL,
		time     TEXT NOT NULL,
		recorded TEXT NOT NULL,
		schema   TEXT NOT NULL,
		data     BLOB NOT NULL,
		tries    INTEGER NOT NULL,
		reason   TEXT NOT NULL, -- the error of the last try
		buried   TEXT NOT NULL, -- when the consumer gave up
		retrying INTEGER NOT NULL, -- 1: to be tried again
		UNIQUE (consumer, position)
	);
	CREATE INDEX dead_letters_retrying ON dead_letters (consumer, position) WHERE retrying`,
	`ALTER TABLE consumers ADD COLUMN failure TEXT`, // what it fails at, in JSON; NULL: nothing
	`CREATE TABLE clock ( -- by which max-age counts; it has rows once the wall clock has jumped while the log was open
		position INTEGER NOT NULL, -- of the last event then
		time     TEXT NOT NULL, -- that the clock showed, in the format of events
		ahead    INTEGER NOT NULL -- by how many nanoseconds the wall clock was ahead of it from then on
	)`,
	`ALTER TABLE events ADD COLUMN traceparent TEXT NOT NULL DEFAULT ''; -- of the span that sent it, as W3C Trace Context defines it; '': not known
	ALTER TABLE dead_letters ADD COLUMN traceparent TEXT NOT NULL DEFAULT ''`,
	`CREATE TABLE schemas ( -- versions of the messages in data: whoever has the file can read them
		number  INTEGER PRIMARY KEY, -- which events have
		name    TEXT NOT NULL, -- of the message
		version TEXT NOT NULL UNIQUE, -- identifies what the message was
		files   BLOB NOT NULL, -- a google.protobuf.FileDescriptorSet
		assumed INTEGER NOT NULL, -- 1: it is assumed that events have it which were stored before this table was made
		until   INTEGER NOT NULL -- no event after this position has it
	);
	CREATE TABLE assumed_schemas ( -- of events that were stored before schemas were kept
		schema TEXT PRIMARY KEY,
		until  INTEGER NOT NULL, -- the last position of then
		number INTEGER -- as in schemas; NULL: no program has opened the file since that knows the message
	);
	ALTER TABLE events ADD COLUMN version INTEGER NOT NULL DEFAULT 0; -- a number of schemas; 0: not known
	ALTER TABLE dead_letters ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
	CREATE TABLE erased (position INTEGER PRIMARY KEY); -- of events that were erased; some may be deleted by now
	INSERT INTO assumed_schemas (schema, until)
		SELECT schema, ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)
		FROM (SELECT DISTINCT schema FROM events UNION SELECT schema FROM dead_letters)`,
	`ALTER TABLE consumers ADD COLUMN keeper TEXT NOT NULL DEFAULT ''`, // what has the position that place is a copy of; '': this table
}

// schemaVersion returns the version of the schema in a file, 0 if it is empty, or
// the error that says why the file can't be used.
func schemaVersion(ctx context.Context, conn *sql.Conn, path string) (int, error) {
	var application, version, objects int
	row := conn.QueryRowContext(ctx, `SELECT
		(SELECT application_id FROM pragma_application_id),
		(SELECT user_version FROM pragma_user_version),
		(SELECT count(*) FROM sqlite_schema)`)
	if err := row.Scan(&application, &version, &objects); err != nil {
		return 0, openError(path, err)
	}
	switch {
	case application == 0 && version == 0 && objects == 0:
		return 0, nil
	case application != applicationID:
		return 0, plainErrorf("%s: this is the database of another application; choose another path", path)
	case version > len(migrations):
		return 0, plainErrorf("%s: its schema has version %d and this program knows versions up to %d; use a newer build of the program", path, version, len(migrations))
	}
	return version, nil
}

// migrate brings the schema of the file up to date, in one transaction.
//
// It writes the version even if that is up to date, because its commit syncs the
// whole write-ahead log: a process that was killed may have left a transaction
// there that was never synced, and its events would be called durable duplicates.
func (l *fileLog) migrate(ctx context.Context) error {
	conn, err := connect(ctx, l.changes)
	if err != nil {
		return openError(l.path, err)
	}
	defer func() { _ = conn.Close() }()
	// Before anything is written into the file: it may be somebody else's.
	err = whileBusy(ctx, func() error {
		_, err := schemaVersion(ctx, conn, l.path)
		return err
	})
	if err != nil {
		return err
	}
	var before int // the version of the schema
	err = transact(ctx, conn, func() error {
		version, err := schemaVersion(ctx, conn, l.path)
		if err != nil {
			return err
		}
		before = version
		statements := append(migrations[version:len(migrations):len(migrations)],
			fmt.Sprintf("PRAGMA application_id = %d", applicationID),
			fmt.Sprintf("PRAGMA user_version = %d", len(migrations)),
		)
		for _, statement := range statements {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return assumeSchemas(ctx, conn)
	})
	if err != nil {
		return openError(l.path, err)
	}
	if before > 0 && before < len(migrations) {
		slog.InfoContext(ctx, "the file of the event log has a new layout: older builds of the program refuse it from now on",
			"log", l.path, "layout", len(migrations), "before", before)
	}
	var journal string
	err = whileBusy(ctx, func() error {
		return conn.QueryRowContext(ctx, "PRAGMA journal_mode = wal").Scan(&journal)
	})
	if err != nil {
		return openError(l.path, err)
	}
	if journal != "wal" {
		return fmt.Errorf("%s: its file system can't hold a write-ahead log; choose a path on a local disk", l.path)
	}
	// Then the header of the file is not that of a backup which it was restored from,
	// and another backup over it is noticed (see wal.go). Others may keep it from that.
	_, _ = conn.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
	return nil
}
