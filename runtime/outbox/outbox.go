// Package outbox sends events that were written to a database together with what they
// are about: an event is sent if and only if the transaction commits.
//
// [Outbox.Append] writes an event in the sender's own transaction. [Outbox.Relay] sends
// the events to the service, each under an id that was fixed when it was written, until
// the service has acknowledged it. If a process is killed in between, the event is sent
// again under the same id, and the service's log, which has it, does not store it twice.
//
// It works with PostgreSQL, MySQL, MariaDB and SQLite, by any driver of database/sql, and
// in transactions of pgx.
package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/dialect"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// Outbox is the table of a database that has the events to send, event_outbox.
type Outbox struct {
	db      *sql.DB
	dialect dialect.Dialect
}

// Open returns the outbox of a database, and makes its table if that is missing. If the
// program may not make it, the error has the statement.
func Open(ctx context.Context, db *sql.DB) (*Outbox, error) {
	database, err := dialect.Of(ctx, db)
	if err != nil {
		return nil, err
	}
	if err := database.Ensure(ctx, db, table); err != nil {
		return nil, err
	}
	return &Outbox{db, database}, nil
}

// Tables returns the statement that makes the table, for somebody who may make it, or for
// a migration.
func Tables(database dialect.Dialect) string { return database.Create(table) + ";\n" }

var table = dialect.Table{Name: "event_outbox", Columns: `  number NUMBER,
  id NAME NOT NULL, -- of the event
  subject NAME NOT NULL, -- events of one are sent in their order
  message NAME NOT NULL, -- full name of the type of the request
  data BYTES NOT NULL, -- the request, as protobuf
  refused TEXT -- why the service refuses it for good; NULL: it is to be sent`}

// Tx is a transaction of database/sql. A *sql.Tx is one.
type Tx interface {
	ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error)
}

// Append writes an event, as the request of the RPC that takes it, in a transaction: it
// is sent once that has committed. It returns the id of the event, which its service
// uses unless the event itself has one.
//
// Events of one subject (see [Subject]) are sent one after the other, in the order in
// which they were appended; so are events without one. Where several transactions append
// events of one subject, each must begin when the one before has ended, for example
// because it locks the row that the subject is.
func (o *Outbox) Append(ctx context.Context, tx Tx, event proto.Message, options ...AppendOption) (id string, err error) {
	row, err := newRow(event, options)
	if err != nil {
		return "", err
	}
	_, err = tx.ExecContext(ctx, o.dialect.Bind(insert), row.id, row.subject, row.message, row.data)
	return row.id, err
}

// PgxTx is a transaction of pgx. T is the type of what it returns, pgconn.CommandTag.
type PgxTx[T any] interface {
	Exec(ctx context.Context, statement string, args ...any) (T, error)
}

// AppendPgx is [Outbox.Append] in a transaction of pgx. The table must exist (see [Open]
// and [Tables]).
func AppendPgx[T any](ctx context.Context, tx PgxTx[T], event proto.Message, options ...AppendOption) (id string, err error) {
	row, err := newRow(event, options)
	if err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, dialect.PostgreSQL.Bind(insert), row.id, row.subject, row.message, row.data)
	return row.id, err
}

const insert = "INSERT INTO event_outbox (id, subject, message, data) VALUES (?, ?, ?, ?)"

// AppendOption changes how an event is appended.
type AppendOption func(*row)

// Subject sets to whom or to what an event happened, by at most 255 bytes.
func Subject(subject string) AppendOption { return func(r *row) { r.subject = subject } }

// ID sets the id of an event, of printable ASCII. By default it is a new one.
func ID(id string) AppendOption { return func(r *row) { r.id = id } }

// row is an event in the table.
type row struct {
	number               int64
	id, subject, message string
	data                 []byte
}

func newRow(event proto.Message, options []AppendOption) (row, error) {
	r := row{message: string(event.ProtoReflect().Descriptor().FullName())}
	for _, option := range options {
		option(&r)
	}
	if r.id == "" {
		r.id = eventid.New()
	}
	if err := eventid.Check(r.id); err != nil {
		return r, err
	}
	for name, text := range map[string]string{"id": r.id, "subject": r.subject, "type": r.message} {
		if len(text) > 255 || strings.ContainsRune(text, 0) {
			return r, fmt.Errorf("the %s of the event has %d bytes, or a NUL: an outbox takes at most 255, and no NUL", name, len(text))
		}
	}
	var err error
	r.data, err = proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte{}, event)
	return r, err
}
