package sqlite

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

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// writer stores batches of appends, each in one transaction.
//
// It uses the driver's prepared statements as they are: what database/sql does
// for each argument costs a good part of what SQLite does with it.
type writer struct {
	path string
	file os.FileInfo // that stood there when the log was opened
	pool *sql.DB
	conn *sql.Conn // nil if what it knows of the file may be wrong

	begin, commit, rollback statement
	touch, find             statement
	inserts                 []insertion // largest first

	// careful is whether the last batch had events that were known already:
	// then it is likely that the next one has.
	careful bool
	rows    []*entry // to be inserted
	// repeated are the entries whose original is among the rows. Their
	// positions are known, and their originals still there, between the commit
	// and the answers.
	repeated []*entry
}

// statement is what a prepared statement of the driver can do.
type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// insertion inserts a fixed number of events.
type insertion struct {
	statement
	events int
	values []driver.NamedValue
}

func newWriter(path string) (*writer, error) {
	w := &writer{path: path, pool: newWriterPool(path)}
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
func (w *writer) checkFile() error {
	file, err := os.Stat(w.path)
	if err == nil && !os.SameFile(file, w.file) {
		err = fmt.Errorf("another file stands at %s", w.path)
	}
	if err != nil {
		return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "its file was removed or replaced while it was open; stop the server, and start it again", Cause: err}
	}
	return nil
}

// connect opens the connection and prepares its statements.
func (w *writer) connect() error {
	ctx := context.Background()
	conn, err := connect(ctx, w.pool)
	if err != nil {
		return err
	}
	w.conn = conn
	w.inserts = []insertion{{events: 64}, {events: 8}, {events: 1}}
	err = prepareAll(conn, func(prepare prepareFunc) error {
		errs := []error{
			prepare(&w.begin, "BEGIN IMMEDIATE"),
			prepare(&w.commit, "COMMIT"),
			prepare(&w.rollback, "ROLLBACK"),
			prepare(&w.touch, fmt.Sprintf("PRAGMA application_id = %d", applicationID)),
			prepare(&w.find, `SELECT position, type = ? AND subject = ? AND schema = ? AND data = ?
				FROM events WHERE source = ? AND id = ?`),
		}
		for i := range w.inserts {
			insert := &w.inserts[i]
			errs = append(errs, prepare(&insert.statement,
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
func (w *writer) disconnect() {
	statements := []statement{w.begin, w.commit, w.rollback, w.touch, w.find}
	for _, insert := range w.inserts {
		statements = append(statements, insert.statement)
	}
	discard(w.conn, statements...)
	w.conn, w.begin, w.commit, w.rollback, w.touch, w.find, w.inserts = nil, nil, nil, nil, nil, nil, nil
}

// discard closes a connection that has prepared statements.
func discard(conn *sql.Conn, statements ...statement) {
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

type prepareFunc func(into *statement, query string) error

// prepareAll prepares statements of the driver on a connection.
func prepareAll(conn *sql.Conn, prepare func(prepareFunc) error) error {
	return conn.Raw(func(driverConn any) error {
		preparer := driverConn.(driver.ConnPrepareContext)
		return prepare(func(into *statement, query string) error {
			prepared, err := preparer.PrepareContext(context.Background(), query)
			if err == nil {
				*into = prepared.(statement)
			}
			return err
		})
	})
}

func (w *writer) close() error {
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
func (w *writer) store(batch []*appendCall) (failure error) {
	var err error
	if w.conn == nil {
		err = w.connect()
	}
	if err == nil {
		err = w.attempt(batch)
	}
	if err == nil {
		err = w.checkFile()
	}
	if err != nil {
		failure = callerError(err)
		for _, call := range batch {
			call.err = failure
		}
		if w.conn != nil && isBroken(err) {
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

func (w *writer) attempt(batch []*appendCall) (err error) {
	raw := w.conn.Raw(func(any) error {
		if !w.careful {
			err = w.transact(batch, w.chooseAll)
		}
		if w.careful || resultCode(err) == sqlite3.SQLITE_CONSTRAINT_UNIQUE {
			err = w.transact(batch, w.chooseUnknown)
		}
		return nil // for Raw would take some errors as a reason to close the connection
	})
	return errors.Join(raw, err)
}

// transact inserts the rows that choose picks from a batch, and commits.
func (w *writer) transact(batch []*appendCall, choose func([]*appendCall) error) error {
	if err := whileBusy(context.Background(), func() error { return w.exec(w.begin) }); err != nil {
		return err
	}
	err := choose(batch)
	if err == nil && slices.ContainsFunc(batch, func(call *appendCall) bool { return len(call.entries) == 0 }) {
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
func (w *writer) chooseAll(batch []*appendCall) error {
	w.rows = w.rows[:0]
	for _, call := range batch {
		for i := range call.entries {
			w.rows = append(w.rows, &call.entries[i])
		}
	}
	return nil
}

// eventKey identifies an event.
type eventKey struct{ source, id driver.Value }

// unknown picks the events that are neither in the table nor earlier in the
// batch, less those of appends with a conflict.
func (w *writer) chooseUnknown(batch []*appendCall) error {
	w.rows, w.repeated, w.careful = w.rows[:0], w.repeated[:0], false
	picked := make(map[eventKey]*entry)
	for _, call := range batch {
		before := len(w.rows)
		conflict, err := w.chooseUnknownOf(call, picked)
		if err != nil {
			return err
		}
		if conflict != nil {
			call.err = &eventlog.Error{Kind: eventlog.ErrConflict, Detail: fmt.Sprintf("source %q, id %q", conflict.source, conflict.id)}
			for _, entry := range w.rows[before:] {
				delete(picked, eventKey{entry.source, entry.id})
			}
			w.rows = w.rows[:before]
		}
	}
	return nil
}

// unknownOf picks the events of one append, or returns one that has another
// event's source and id.
func (w *writer) chooseUnknownOf(call *appendCall, picked map[eventKey]*entry) (conflict *entry, err error) {
	for i := range call.entries {
		entry := &call.entries[i]
		key := eventKey{entry.source, entry.id}
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
func (e *entry) same(other *entry) bool {
	return e.kind == other.kind && e.subject == other.subject && e.schema == other.schema && bytes.Equal(e.buffer, other.buffer)
}

// lookUp is where the event with an entry's source and id is in the table, 0
// if it is not, and whether it is the same.
func (w *writer) lookUp(entry *entry) (position eventlog.Position, same bool, err error) {
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
		return eventlog.Position(row[0].(int64)), row[1] == int64(1), nil
	case io.EOF:
		return 0, false, nil
	default:
		return 0, false, err
	}
}

// insert stores rows and notes their positions.
func (w *writer) insert(rows []*entry) error {
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

func (s *insertion) insert(recorded string, rows []*entry) error {
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
		row.position = eventlog.Position(last) - eventlog.Position(len(rows)-1-i)
	}
	return nil
}

func (w *writer) exec(statement statement) error {
	_, err := statement.ExecContext(context.Background(), nil)
	return err
}
