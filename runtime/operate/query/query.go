// Package query answers questions about the events of a log in SQL. There is a view for
// each type of message, with a column for each of its fields, and the view events of all.
//
// A SQLite log is read where it is, also while a server appends to it. The events of other
// logs are first copied to a temporary file. Nothing can be changed.
package query

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"modernc.org/sqlite"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Range is which events there are in views.
type Range struct {
	After eventlog.Position // only those after it
	Until time.Time         // only those that were recorded before it; zero: all
	Type  string            // only those of this type; "": all
}

// DB is the events of a log, for SQL. It has one connection, and answers one query at a
// time.
type DB struct {
	Views []View // by their names

	pool   *sql.DB
	conn   *sql.Conn         // the views are of the connection, and the pool would close it once a query was interrupted
	fields []*field          // by the index that event_field is given
	whole  map[string]*field // messages, by the schema that events have
	pace   *pace             // of queries beside a server; nil: they need none
	watch  *sql.DB           // by which the pace is found
	remove func() error      // removes the temporary copy, if there is one
}

// Open makes the events of a log ready for queries. progress, if it is not nil, is called
// now and then while they are copied, with how many there are by then.
func Open(ctx context.Context, log eventlog.Log, events Range, progress func(copied int)) (_ *DB, err error) {
	db := &DB{whole: map[string]*field{}, remove: func() error { return nil }}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	source := source{table: "main.events"}
	if file, ok := log.(interface{ File() string }); ok {
		if err := db.open(ctx, file.File(), "ro"); err != nil {
			return nil, err
		}
		db.watch = newPool(&sqlite.Driver{}, file.File(), "ro")
		db.pace = &pace{now: time.Now, sleep: time.Sleep, appended: commits(db.watch)}
		source.pacing = pacing + " AND "
		source.versions, err = db.versions(ctx)
	} else {
		source, err = db.copy(ctx, log, events, progress)
	}
	if err != nil {
		return nil, err
	}
	if err := db.makeViews(ctx, source, events.condition()); err != nil {
		return nil, err
	}
	return db, db.onlyRead(ctx)
}

// onlyRead makes the connection refuse all that changes something. SQLite asks for each
// statement as it has understood it, so how that is written does not matter.
//
// A file that is attached can be written although the log's was opened for reading, and
// VACUUM INTO attaches the file that it writes. A setting that is query_only can be set back.
func (db *DB) onlyRead(ctx context.Context) error {
	if _, err := db.conn.ExecContext(ctx, "PRAGMA query_only = 1"); err != nil {
		return err
	}
	return db.conn.Raw(func(conn any) error {
		return conn.(sqlite.AuthorizerRegisterer).RegisterAuthorizer(func(action sqlite.AuthorizerActionCode, name, value, _, _ string) sqlite.AuthorizerReturnCode {
			name = strings.ToLower(name)
			changes := action == sqlite.AuthAttach || action == sqlite.AuthPragma && (value != "" || name == "wal_checkpoint") && !slices.Contains(harmless, name)
			if changes {
				return sqlite.AuthorizerDeny
			}
			return sqlite.AuthorizerOK
		})
	})
}

// harmless are the pragmas that can be given something: those that describe, and those that
// make queries faster.
var harmless = []string{
	"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list",
	"cache_size", "mmap_size", "threads",
}

// source is a table of events, with the columns that the events of a SQLite log have.
type source struct {
	table    string
	pacing   string // the beginning of a condition that makes the query pause
	versions []namedVersion
}

// erasedVersion is what events have in place of a version if they are erased.
const erasedVersion = -1

// namedVersion is a version and the schema that events have with it.
type namedVersion struct {
	schema string
	version
}

// condition returns what the views ask of an event besides its schema.
func (r Range) condition() (condition string) {
	if r.After > 0 {
		condition += fmt.Sprintf(" AND position > %d", r.After)
	}
	if !r.Until.IsZero() {
		condition += " AND recorded < " + literal(r.Until.UTC().Format(timeFormat))
	}
	if r.Type != "" {
		condition += " AND type = " + literal(r.Type)
	}
	return condition
}

// connector opens connections that have the functions of the views.
type connector struct {
	driver *sqlite.Driver
	dsn    string
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c connector) Driver() driver.Driver                        { return c.driver }

// open opens a file. Its one connection has the views.
func (db *DB) open(ctx context.Context, path, mode string) error {
	functions := &sqlite.Driver{}
	// They get views of SQLite's memory, and keep nothing of it: copying the data of each
	// event would cost a tenth of a query.
	err := errors.Join(
		functions.RegisterFunction("event_field", &sqlite.FunctionImpl{NArgs: 3, Deterministic: true, VolatileArgs: true, Scalar: db.eventField}),
		functions.RegisterFunction("event_data", &sqlite.FunctionImpl{NArgs: 3, Deterministic: true, VolatileArgs: true, Scalar: db.eventData}),
		functions.RegisterFunction("event_pause", &sqlite.FunctionImpl{NArgs: 1, VolatileArgs: true, Scalar: db.eventPause}))
	if err != nil {
		return err
	}
	db.pool = newPool(functions, path, mode)
	db.conn, err = db.pool.Conn(ctx)
	return err
}

// newPool returns a pool of one connection to a file.
func newPool(driver *sqlite.Driver, path, mode string) *sql.DB {
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed
	}
	uri := url.URL{Scheme: "file", Path: slashed, RawQuery: "mode=" + mode + "&_pragma=busy_timeout(5000)"}
	pool := sql.OpenDB(connector{driver, uri.String()})
	pool.SetMaxOpenConns(1)
	return pool
}

// eventField is the function event_field(data, version, index) of SQL.
func (db *DB) eventField(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	data, _ := args[0].([]byte)
	version, _ := args[1].(int64)
	index, ok := args[2].(int64)
	if !ok || index < 0 || index >= int64(len(db.fields)) {
		return nil, errors.New("event_field is for the views only")
	}
	return db.fields[index].value(version, data), nil
}

// eventData is the function event_data(data, version, schema) of SQL: the whole message.
func (db *DB) eventData(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	data, _ := args[0].([]byte)
	version, _ := args[1].(int64)
	schema, ok := args[2].(string)
	if !ok {
		return nil, errors.New("event_data is for the views only")
	}
	if version == erasedVersion {
		return nil, nil
	}
	whole := db.whole[schema]
	if whole == nil {
		whole = &field{read: readUnknown}
		db.whole[strings.Clone(schema)] = whole
	}
	return whole.value(version, data), nil
}

// readUnknown reads a message of a type that nobody knows.
func readUnknown([]byte) (driver.Value, error) {
	return nil, errors.New("neither the log nor this program knows the type of the message")
}

// makeViews makes the views of a table.
func (db *DB) makeViews(ctx context.Context, source source, condition string) error {
	var of map[string]*message
	db.Views, of = makeTables(source.versions)
	for schema, known := range of {
		db.whole[schema] = known.whole()
	}
	all := "CREATE TEMP VIEW events AS SELECT position, recorded, source, id, type, subject, time, schema, traceparent, " +
		fmt.Sprintf("version = %d AS erased, ", erasedVersion) + "event_data(data, version, schema) AS data FROM " + source.table + " WHERE " + source.pacing + "true" + condition
	if _, err := db.conn.ExecContext(ctx, all); err != nil {
		return err
	}
	for _, view := range db.Views {
		if _, err := db.conn.ExecContext(ctx, view.definition(source, condition, len(db.fields))); err != nil {
			return fmt.Errorf("the view of %s: %w", view.Message, err)
		}
		db.fields = append(db.fields, view.fields...)
	}
	return nil
}

// message is a type of message that the log has events of, or that this program reads.
type message struct {
	current  protoreflect.MessageDescriptor // nil: it is not ours, and no version can be read
	versions []version
	schemas  []string
}

// whole returns the message as a field that reads all of it.
func (m *message) whole() *field {
	whole := &field{read: readUnknown, versions: map[int64]reader{}}
	if m.current != nil {
		whole.read = readMessage(m.current)
	}
	for _, version := range m.versions {
		if version.message == nil {
			whole.versions[version.number] = version.failing()
			continue
		}
		whole.versions[version.number] = readMessage(version.message)
	}
	return whole
}

// makeTables returns the views that there are, by their names, and their messages by the
// schemas of events.
func makeTables(versions []namedVersion) (views []View, of map[string]*message) {
	of = map[string]*message{}
	var known []*message
	for _, kind := range eventlog.Messages() {
		name := string(kind.Descriptor().FullName())
		added := &message{current: kind.Descriptor(), schemas: append([]string{name}, eventlog.FormerNames(name)...)}
		for _, schema := range added.schemas {
			of[schema] = added
		}
		known = append(known, added)
	}
	slices.SortFunc(versions, func(a, b namedVersion) int { return cmp.Compare(a.number, b.number) })
	for _, version := range versions {
		in := of[version.schema]
		if in == nil {
			in = &message{schemas: []string{version.schema}}
			of[version.schema], known = in, append(known, in)
		}
		in.versions = append(in.versions, version.version)
		if _, ours := eventlog.FindMessage(version.schema); !ours && version.message != nil {
			in.current = version.message // the last one
		}
	}
	for _, message := range known {
		if message.current == nil {
			continue // what it was can't be read
		}
		views = append(views, newView(message.current, message.versions, message.schemas))
	}
	name(views)
	return views, of
}

// Query runs a query. It pauses again and again while others append to the log.
func (db *DB) Query(ctx context.Context, query string) (*sql.Rows, error) {
	if db.pace != nil {
		db.pace.start()
	}
	return db.conn.QueryContext(ctx, query)
}

// Unread returns what could not be read in queries so far, and was NULL: the column of the
// view, how many values, and why the first of them.
func (db *DB) Unread() []string {
	sentences := unread(db.Views)
	for schema, whole := range db.whole {
		if whole.failed.count > 0 {
			sentences = append(sentences, whole.failed.sentence("events.data of "+schema))
		}
	}
	slices.Sort(sentences)
	return slices.Compact(sentences)
}

func unread(views []View) (sentences []string) {
	for _, view := range views {
		for i, field := range view.fields {
			if field.failed.count > 0 {
				sentences = append(sentences, field.failed.sentence(view.Name+"."+view.Columns[len(attributes)+i].Name))
			}
		}
	}
	return sentences
}

func (f *failures) sentence(column string) string {
	values := "values"
	if f.count == 1 {
		values = "value"
	}
	sentence := fmt.Sprintf("%s: %d %s could not be read and are NULL: %v", column, f.count, values, f.first)
	*f = failures{}
	return sentence
}

// Close closes the DB, and removes the temporary copy of events if it has one.
func (db *DB) Close() error {
	var errs []error
	if db.conn != nil {
		errs = append(errs, db.conn.Close())
	}
	for _, pool := range []*sql.DB{db.pool, db.watch} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(append(errs, db.remove())...)
}
