package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// writer stores batches of appends, each in one transaction.
//
// It uses the driver's prepared statements directly: what database/sql does for
// each argument costs a good part of what SQLite does with it.
type writer struct {
	watch *watch
	pool  *sql.DB
	conn  *sql.Conn // nil if a new one is needed

	begin, commit, rollback statement
	touch, find             statement
	findSchema, addSchema   statement
	extendSchema            statement
	inserts                 [maxInsert + 1]statement // by how many events they insert; prepared when first used
	values                  []driver.NamedValue      // of one of them
	prepare                 prepareFunc              // while a batch is stored

	versions map[string]*keptVersion // that events were inserted with; emptied when that failed

	// careful reports whether the last batch had events that were stored already:
	// then the next one is likely to have some.
	careful bool
	rows    []*entry // to be inserted
	// repeated has the entries whose original is among the rows. They get its
	// position after the commit, and before any caller is answered.
	repeated []*entry
}

// statement is a prepared statement of the driver, which implements all three.
type statement struct {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// equals returns the condition that a column equals that of an event whose row is the statement's values.
func equals(column int) string { return fmt.Sprintf("%s = ?%d", columns[column], column+1) }

// maxInsert is how many events one statement inserts at most: each statement costs as much
// as two more events do, and its size does not matter much beyond that.
const maxInsert = 64

// isShared are the columns that many events of a transaction have in common, as a rule. A
// value that is the same as that of the statement's first event is given as NULL: each text
// that is given is allocated, copied, locked for and freed.
var isShared = [columnCount]bool{sourceColumn: true, typeColumn: true, schemaColumn: true, traceColumn: true, versionColumn: true}

// insertStatement returns the statement that inserts a number of events. Its first value
// is when they are recorded, which is also the time of those that have none.
//
// When the index refuses an event it leaves those before it in the transaction, which is
// undone then: to undo the statement alone, SQLite would first copy each page that it changes.
func insertStatement(events int) string {
	rows := make([]string, events)
	for i := range rows {
		row := "(?1"
		for column := range columnCount {
			switch {
			case column == timeColumn:
				row += ", ifnull(?, ?1)"
			case isShared[column] && i > 0:
				row += fmt.Sprintf(", ifnull(?, ?%d)", 2+column)
			default:
				row += ", ?"
			}
		}
		rows[i] = row + ")"
	}
	return "INSERT OR FAIL INTO events (recorded, " + columnList + ") VALUES " + strings.Join(rows, ", ")
}

func newWriter(path string) (*writer, error) {
	w := &writer{watch: &watch{path: path}, pool: newWriterPool(path), versions: map[string]*keptVersion{}}
	if err := whileBusy(context.Background(), w.connect); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// save moves what the write-ahead log has into the file, if that log was removed or
// replaced while it was open: it is lost when the process ends.
func (w *writer) save() {
	loss := w.watch.saving()
	if loss == nil || w.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	var busy, frames, moved int
	for moved = -1; moved < frames; pause(ctx, 5*time.Millisecond) { // as far as those that read allow it
		if err := w.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &frames, &moved); err != nil {
			slog.ErrorContext(ctx, "what is acknowledged could not be saved in the event log's file, and is lost when this process ends", "log", w.watch.path, "cause", loss.cause, "error", err)
			return
		}
	}
	w.watch.saved()
	slog.ErrorContext(ctx, "the event log takes no events any longer: "+loss.what+"; what was acknowledged was saved in its file", "log", w.watch.path, "cause", loss.cause)
}

// pause waits for a duration, or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// connect opens the connection and prepares its statements.
func (w *writer) connect() error {
	ctx := context.Background()
	conn, err := connect(ctx, w.pool)
	if err != nil {
		return err
	}
	w.conn = conn
	err = prepareAll(conn, func(prepare prepareFunc) error {
		return errors.Join(
			prepare(&w.begin, "BEGIN IMMEDIATE"),
			prepare(&w.commit, "COMMIT"),
			prepare(&w.rollback, "ROLLBACK"),
			prepare(&w.touch, fmt.Sprintf("PRAGMA application_id = %d", applicationID)),
			prepare(&w.find, fmt.Sprintf("SELECT position, %s AND %s AND (version = %d OR %s AND %s) FROM events WHERE %s AND %s",
				equals(typeColumn), equals(schemaColumn), erasedVersion, equals(subjectColumn), equals(dataColumn), equals(sourceColumn), equals(idColumn))),
			prepare(&w.findSchema, "SELECT number, until FROM schemas WHERE version = ?"),
			prepare(&w.addSchema, insertSchema),
			prepare(&w.extendSchema, "UPDATE schemas SET until = max(until, ?) WHERE number = ?"),
			prepare(&w.inserts[1], insertStatement(1)),
		)
	})
	if err == nil {
		err = w.watch.start()
	}
	if err != nil {
		w.disconnect()
	}
	return err
}

// disconnect closes the connection, and first its prepared statements, which would
// keep it open.
func (w *writer) disconnect() {
	w.watch.stop()
	discard(w.conn, append(w.inserts[:], w.begin, w.commit, w.rollback, w.touch, w.find, w.findSchema, w.addSchema, w.extendSchema)...)
	w.conn, w.inserts = nil, [len(w.inserts)]statement{}
	w.begin, w.commit, w.rollback, w.touch, w.find = statement{}, statement{}, statement{}, statement{}, statement{}
	w.findSchema, w.addSchema, w.extendSchema = statement{}, statement{}, statement{}
}

// discard closes a connection that has prepared statements.
func discard(conn *sql.Conn, statements ...statement) {
	_ = conn.Raw(func(any) error {
		for _, statement := range statements {
			if statement.Stmt != nil {
				_ = statement.Close()
			}
		}
		return driver.ErrBadConn // then its pool does not keep it
	})
	_ = conn.Close()
}

type prepareFunc func(into *statement, query string) error

// prepareAll prepares statements of the driver on a connection.
func prepareAll(conn *sql.Conn, prepare func(prepareFunc) error) error {
	return conn.Raw(func(driverConn any) error { return prepare(preparer(driverConn)) })
}

// preparer returns the function that prepares statements on a connection of the driver.
func preparer(driverConn any) prepareFunc {
	return func(into *statement, query string) error {
		prepared, err := driverConn.(driver.ConnPrepareContext).PrepareContext(context.Background(), query)
		if err == nil {
			*into = statement{prepared, prepared.(driver.StmtExecContext), prepared.(driver.StmtQueryContext)}
		}
		return err
	}
}

// close closes the connection, unless a file was lost: the last connection that is
// closed moves the write-ahead log into the file, and deletes what has its name.
func (w *writer) close() error {
	if w.watch.isLost() {
		return nil
	}
	if w.conn != nil {
		w.disconnect()
	}
	return w.pool.Close()
}

// store stores a batch: afterwards each append has the positions of its events, or
// the error because of which none of them was stored. It returns an error if the
// storage failed.
//
// It first inserts everything without looking at what is stored. If the index then
// refuses an event, the transaction is undone, and a second one looks first.
func (w *writer) store(batch []*appendCall) (failure error) {
	err := w.watch.known()
	if err == nil && w.conn == nil {
		err = w.connect()
	}
	if err == nil {
		if err = w.attempt(batch); err == nil {
			err = w.watch.check(true)
		} else if lost := w.watch.check(false); lost != nil { // before the connection may be closed
			err = lost
		}
	}
	if err != nil {
		w.save()
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
	raw := w.conn.Raw(func(driverConn any) error {
		w.prepare = preparer(driverConn)
		if !w.careful {
			err = w.transact(batch, w.chooseAll)
		}
		if w.careful || resultCode(err) == sqlite3.SQLITE_CONSTRAINT_UNIQUE {
			err = w.transact(batch, w.chooseUnknown)
		}
		return nil // because Raw closes the connection after some errors
	})
	return errors.Join(raw, err)
}

// transact inserts the rows that choose takes from a batch, and commits.
func (w *writer) transact(batch []*appendCall, choose func([]*appendCall) error) error {
	if err := whileBusy(context.Background(), func() error { return w.exec(w.begin) }); err != nil {
		return err
	}
	err := choose(batch)
	if err == nil && slices.ContainsFunc(batch, func(call *appendCall) bool { return len(call.entries) == 0 }) {
		err = w.exec(w.touch)
	}
	if err == nil {
		err = w.keepSchemas(w.rows)
	}
	if err == nil {
		err = w.insert(w.rows)
	}
	if err == nil {
		err = w.extendSchemas(w.rows)
	}
	if err == nil {
		err = w.exec(w.commit)
	}
	if err != nil {
		clear(w.versions)      // some may not be kept after all
		_ = w.exec(w.rollback) // fails if SQLite has done it already
	}
	return err
}

// chooseAll takes every event.
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

// chooseUnknown takes the events that are neither in the table nor earlier in the
// batch, without those of appends with a conflict.
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
			call.err = &eventlog.Error{Kind: eventlog.ErrConflict, Detail: fmt.Sprintf("source %q, id %q", conflict.row[sourceColumn], conflict.row[idColumn])}
			for _, entry := range w.rows[before:] {
				delete(picked, eventKey{entry.row[sourceColumn], entry.row[idColumn]})
			}
			w.rows = w.rows[:before]
		}
	}
	return nil
}

// chooseUnknownOf takes those of one append, or returns an event whose source and
// id another one has.
func (w *writer) chooseUnknownOf(call *appendCall, picked map[eventKey]*entry) (conflict *entry, err error) {
	for i := range call.entries {
		entry := &call.entries[i]
		key := eventKey{entry.row[sourceColumn], entry.row[idColumn]}
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

// same reports whether two entries of one source and id are the same event.
func (e *entry) same(other *entry) bool {
	return e.row[typeColumn] == other.row[typeColumn] && e.row[subjectColumn] == other.row[subjectColumn] &&
		e.row[schemaColumn] == other.row[schemaColumn] && bytes.Equal(e.data(), other.data())
}

// lookUp returns the position of the event in the table that has an entry's source
// and id, 0 if there is none, and whether it is the same event. It may be stored
// under a former name of its schema.
func (w *writer) lookUp(entry *entry) (position eventlog.Position, same bool, err error) {
	position, same, err = w.findRow(entry.row)
	if err != nil || position == 0 || same {
		return position, same, err
	}
	schema := entry.row[schemaColumn]
	for _, former := range eventlog.FormerNames(schema.(string)) {
		row := entry.row
		row[schemaColumn] = former
		if row[typeColumn] == schema { // it has no type of its own
			row[typeColumn] = former
		}
		if position, same, err = w.findRow(row); err != nil || same {
			break
		}
	}
	return position, same, err
}

// findRow returns the position of the event in the table that has a row's source
// and id, 0 if there is none, and whether the rest is the same, too.
func (w *writer) findRow(values eventRow) (position eventlog.Position, same bool, err error) {
	row, err := w.first(w.find, values[:]...)
	if err != nil || row == nil {
		return 0, false, err
	}
	return eventlog.Position(row[0].(int64)), row[1] == int64(1), nil
}

// first returns the first row of a statement, whose rows have two columns, or nil if there
// is none.
func (w *writer) first(statement statement, values ...driver.Value) (row []driver.Value, err error) {
	rows, err := statement.QueryContext(context.Background(), arguments(values))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row = make([]driver.Value, 2)
	switch err := rows.Next(row); err {
	case nil:
		return row, nil
	case io.EOF:
		return nil, nil
	default:
		return nil, err
	}
}

// insert inserts rows, and sets their positions.
func (w *writer) insert(rows []*entry) error {
	recorded := formatTime(time.Now())
	for part := range slices.Chunk(rows, maxInsert) {
		if err := w.insertPart(recorded, part); err != nil {
			return err
		}
	}
	return nil
}

// insertPart inserts rows by one statement.
func (w *writer) insertPart(recorded string, rows []*entry) error {
	statement := &w.inserts[len(rows)]
	if statement.Stmt == nil {
		if err := w.prepare(statement, insertStatement(len(rows))); err != nil {
			return err
		}
	}
	values := append(w.values[:0], driver.NamedValue{Ordinal: 1, Value: recorded})
	for i, row := range rows {
		for column, value := range row.row {
			if i > 0 && isShared[column] && value == rows[0].row[column] {
				value = nil
			}
			values = append(values, driver.NamedValue{Ordinal: len(values) + 1, Value: value})
		}
	}
	w.values = values
	result, err := statement.ExecContext(context.Background(), values)
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

func (w *writer) exec(statement statement, values ...driver.Value) error {
	_, err := statement.ExecContext(context.Background(), arguments(values))
	return err
}

// arguments returns values as a statement takes them.
func arguments(values []driver.Value) []driver.NamedValue {
	named := make([]driver.NamedValue, len(values))
	for i, value := range values {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: value}
	}
	return named
}
