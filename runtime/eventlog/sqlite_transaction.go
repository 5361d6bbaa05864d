package eventlog

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteWriter stores batches of appends, each in one transaction.
//
// It uses the driver's prepared statements as they are: what database/sql does
// for each argument costs a good part of what SQLite does with it.
type sqliteWriter struct {
	path string
	file os.FileInfo // that stood there when the log was opened
	pool *sql.DB
	conn *sql.Conn // nil if what it knows of the file may be wrong

	begin, commit, rollback sqliteStatement
	touch, find             sqliteStatement
	inserts                 []sqliteInsert // largest first

	// careful is whether the last batch had events that were known already:
	// then it is likely that the next one has.
	careful bool
	rows    []*sqliteEntry // to be inserted
	// repeated are the entries whose original is among the rows. Their
	// positions are known, and their originals still there, between the commit
	// and the answers.
	repeated []*sqliteEntry
}

// sqliteStatement is what a prepared statement of the driver can do.
type sqliteStatement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// sqliteInsert inserts a fixed number of events.
type sqliteInsert struct {
	sqliteStatement
	events int
	values []driver.NamedValue
}

func newSQLiteWriter(path string) (*sqliteWriter, error) {
	w := &sqliteWriter{path: path, pool: newSQLiteWriters(path)}
	err := whileBusy(context.Background(), w.connect)
	if err == nil {
		w.file, err = os.Stat(path)
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// isThere is nil while the file is the one that was opened. What is written to
// one that was removed, or replaced by a backup of it, is on no disk once the
// process ends.
func (w *sqliteWriter) isThere() error {
	file, err := os.Stat(w.path)
	if err == nil && !os.SameFile(file, w.file) {
		err = fmt.Errorf("another file stands at %s", w.path)
	}
	if err != nil {
		return &Error{Kind: ErrUnavailable, Detail: "its file was removed or replaced while it was open; stop the server, and start it again", Cause: err}
	}
	return nil
}

// connect opens the connection and prepares its statements.
func (w *sqliteWriter) connect() error {
	ctx := context.Background()
	conn, err := connect(ctx, w.pool)
	if err != nil {
		return err
	}
	w.conn = conn
	w.inserts = []sqliteInsert{{events: 64}, {events: 8}, {events: 1}}
	err = prepareSQLite(conn, func(prepare prepareFunc) error {
		errs := []error{
			prepare(&w.begin, "BEGIN IMMEDIATE"),
			prepare(&w.commit, "COMMIT"),
			prepare(&w.rollback, "ROLLBACK"),
			prepare(&w.touch, fmt.Sprintf("PRAGMA application_id = %d", sqliteApplication)),
			prepare(&w.find, `SELECT position, type = ? AND subject = ? AND schema = ? AND data = ?
				FROM events WHERE source = ? AND id = ?`),
		}
		for i := range w.inserts {
			insert := &w.inserts[i]
			errs = append(errs, prepare(&insert.sqliteStatement,
				`INSERT INTO events (recorded, source, id, type, subject, time, schema, data) VALUES `+
					strings.TrimSuffix(strings.Repeat("(?1, ?, ?, ?, ?, ifnull(?, ?1), ?, ?), ", insert.events), ", ")))
			insert.values = make([]driver.NamedValue, 1+7*insert.events)
			for j := range insert.values {
				insert.values[j].Ordinal = j + 1
			}
		}
		return errors.Join(errs...)
	})
	if err != nil {
		w.disconnect()
	}
	return err
}

// disconnect ends the prepared statements, without which the connection would
// stay open, and the connection.
func (w *sqliteWriter) disconnect() {
	statements := []sqliteStatement{w.begin, w.commit, w.rollback, w.touch, w.find}
	for _, insert := range w.inserts {
		statements = append(statements, insert.sqliteStatement)
	}
	discard(w.conn, statements...)
	w.conn, w.begin, w.commit, w.rollback, w.touch, w.find, w.inserts = nil, nil, nil, nil, nil, nil, nil
}

// discard closes a connection that has prepared statements.
func discard(conn *sql.Conn, statements ...sqliteStatement) {
	_ = conn.Raw(func(any) error {
		for _, statement := range statements {
			if statement != nil {
				_ = statement.Close()
			}
		}
		return driver.ErrBadConn // so that its pool does not keep it
	})
	_ = conn.Close()
}

type prepareFunc func(into *sqliteStatement, query string) error

// prepareSQLite prepares statements of the driver on a connection.
func prepareSQLite(conn *sql.Conn, prepare func(prepareFunc) error) error {
	return conn.Raw(func(driverConn any) error {
		preparer := driverConn.(driver.ConnPrepareContext)
		return prepare(func(into *sqliteStatement, query string) error {
			statement, err := preparer.PrepareContext(context.Background(), query)
			if err == nil {
				*into = statement.(sqliteStatement)
			}
			return err
		})
	})
}

func (w *sqliteWriter) close() error {
	if w.conn != nil {
		w.disconnect()
	}
	return w.pool.Close()
}

// store decides a batch: afterwards each append has the positions of its
// events, or the error for which none of them was stored. It returns the error
// if that is the storage's fault.
//
// It first inserts everything without a look at what is there. If the index
// then objects to an event, the transaction is undone and a second one looks
// before it inserts.
func (w *sqliteWriter) store(batch []*sqliteAppend) (failure error) {
	var err error
	if w.conn == nil {
		err = w.connect()
	}
	if err == nil {
		err = w.attempt(batch)
	}
	if err == nil {
		err = w.isThere()
	}
	if err != nil {
		failure = sqliteFailure(err)
		for _, call := range batch {
			call.err = failure
		}
		if w.conn != nil && sqliteIsBroken(err) {
			w.disconnect()
		}
	}
	for _, entry := range w.repeated {
		entry.position, entry.isDuplicate = entry.original.position, true
	}
	clear(w.rows)
	clear(w.repeated)
	w.rows, w.repeated = w.rows[:0], w.repeated[:0]
	return failure
}

func (w *sqliteWriter) attempt(batch []*sqliteAppend) (err error) {
	raw := w.conn.Raw(func(any) error {
		if !w.careful {
			err = w.transact(batch, w.all)
		}
		if w.careful || sqliteCode(err) == sqlite3.SQLITE_CONSTRAINT_UNIQUE {
			err = w.transact(batch, w.unknown)
		}
		return nil // for Raw would take some errors as a reason to close the connection
	})
	return errors.Join(raw, err)
}

// transact inserts the rows that choose picks from a batch, and commits.
func (w *sqliteWriter) transact(batch []*sqliteAppend, choose func([]*sqliteAppend) error) error {
	if err := whileBusy(context.Background(), func() error { return w.exec(w.begin) }); err != nil {
		return err
	}
	err := choose(batch)
	if err == nil && slices.ContainsFunc(batch, func(call *sqliteAppend) bool { return len(call.entries) == 0 }) {
		err = w.exec(w.touch)
	}
	if err == nil {
		err = w.insert(w.rows)
	}
	if err == nil {
		err = w.exec(w.commit)
	}
	if err != nil {
		_ = w.exec(w.rollback) // fails if SQLite has done it already
	}
	return err
}

// all picks every event.
func (w *sqliteWriter) all(batch []*sqliteAppend) error {
	w.rows = w.rows[:0]
	for _, call := range batch {
		for i := range call.entries {
			w.rows = append(w.rows, &call.entries[i])
		}
	}
	return nil
}

// sqliteKey identifies an event.
type sqliteKey struct{ source, id driver.Value }

// unknown picks the events that are neither in the table nor earlier in the
// batch, less those of appends with a conflict.
func (w *sqliteWriter) unknown(batch []*sqliteAppend) error {
	w.rows, w.repeated, w.careful = w.rows[:0], w.repeated[:0], false
	picked := make(map[sqliteKey]*sqliteEntry)
	for _, call := range batch {
		before := len(w.rows)
		conflict, err := w.unknownOf(call, picked)
		if err != nil {
			return err
		}
		if conflict != nil {
			call.err = &Error{Kind: ErrConflict, Detail: fmt.Sprintf("source %q, id %q", conflict.source, conflict.id)}
			for _, entry := range w.rows[before:] {
				delete(picked, sqliteKey{entry.source, entry.id})
			}
			w.rows = w.rows[:before]
		}
	}
	return nil
}

// unknownOf picks the events of one append, or returns one that has another
// event's source and id.
func (w *sqliteWriter) unknownOf(call *sqliteAppend, picked map[sqliteKey]*sqliteEntry) (conflict *sqliteEntry, err error) {
	for i := range call.entries {
		entry := &call.entries[i]
		key := sqliteKey{entry.source, entry.id}
		if original := picked[key]; original != nil {
			w.careful = true
			if !original.same(entry) {
				return entry, nil
			}
			entry.original = original
			w.repeated = append(w.repeated, entry)
			continue
		}
		position, same, err := w.lookUp(entry)
		switch {
		case err != nil:
			return nil, err
		case position == 0:
			w.rows = append(w.rows, entry)
			picked[key] = entry
		case !same:
			w.careful = true
			return entry, nil
		default:
			w.careful = true
			entry.position, entry.isDuplicate = position, true
		}
	}
	return nil, nil
}

// same is whether two entries of one source and id are the same event.
func (e *sqliteEntry) same(other *sqliteEntry) bool {
	return e.kind == other.kind && e.subject == other.subject && e.schema == other.schema && bytes.Equal(e.buffer, other.buffer)
}

// lookUp is where the event with an entry's source and id is in the table, 0
// if it is not, and whether it is the same.
func (w *sqliteWriter) lookUp(entry *sqliteEntry) (position Position, same bool, err error) {
	values := []driver.Value{entry.kind, entry.subject, entry.schema, entry.data, entry.source, entry.id}
	arguments := make([]driver.NamedValue, len(values))
	for i, value := range values {
		arguments[i] = driver.NamedValue{Ordinal: i + 1, Value: value}
	}
	rows, err := w.find.QueryContext(context.Background(), arguments)
	if err != nil {
		return 0, false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var row [2]driver.Value
	switch err := rows.Next(row[:]); err {
	case nil:
		return Position(row[0].(int64)), row[1] == int64(1), nil
	case io.EOF:
		return 0, false, nil
	default:
		return 0, false, err
	}
}

// insert stores rows and notes their positions.
func (w *sqliteWriter) insert(rows []*sqliteEntry) error {
	recorded := now()
	for i := range w.inserts {
		insert := &w.inserts[i]
		for len(rows) >= insert.events {
			if err := insert.insert(recorded, rows[:insert.events]); err != nil {
				return err
			}
			rows = rows[insert.events:]
		}
	}
	return nil
}

func (s *sqliteInsert) insert(recorded string, rows []*sqliteEntry) error {
	s.values[0].Value = recorded
	for i, row := range rows {
		values := s.values[1+7*i:][:7]
		values[0].Value = row.source
		values[1].Value = row.id
		values[2].Value = row.kind
		values[3].Value = row.subject
		values[4].Value = row.time
		values[5].Value = row.schema
		values[6].Value = row.data
	}
	result, err := s.ExecContext(context.Background(), s.values)
	if err != nil {
		return err
	}
	last, err := result.LastInsertId()
	if err != nil {
		return err
	}
	for i, row := range rows {
		row.position = Position(last) - Position(len(rows)-1-i)
	}
	return nil
}

func (w *sqliteWriter) exec(statement sqliteStatement) error {
	_, err := statement.ExecContext(context.Background(), nil)
	return err
}
