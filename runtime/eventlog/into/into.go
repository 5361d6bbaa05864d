// Package into consumes events into a database, each exactly once: a handler changes
// the database in a transaction, and the position of the consumer is kept there too, and
// changes in the same transaction. So an event has its effect if and only if the database
// knows that it has, whichever process is killed, and when.
//
// It works with PostgreSQL, MySQL, MariaDB and SQLite, by any driver of database/sql. The
// tables of MySQL must be ones of InnoDB, since others have no transactions.
package into

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/dialect"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// ConsumeMessages is [eventlog.ConsumeMessageBatches] for a handler whose effects are in
// a database: what it does with tx has effect once for each event. It must not commit
// the transaction, nor roll it back, and must return an error if a statement has failed.
// What it does elsewhere, such as a mail that it sends, may be done again.
//
// Order, batches, tries and dead letters are as with [eventlog.Consume]. A dead letter
// has had no effect; [eventlog.Log].Retry gives it one, once. While the database can't be
// reached the consumer waits, and no event is given up. With more than one call at a time
// (see [eventlog.Concurrency]) there are as many transactions; with SQLite there is one.
//
// A consumer of that name which runs elsewhere, though it should not, can't commit any
// longer: each that begins takes the position over from the one before.
//
// Each call of the handler has a connection of db, and the recording of what is passed over
// or given up has another: let the pool have one more than there are calls at a time. With
// fewer they wait for each other's.
//
// The database has the position, and what the log has of it is a copy for its statistics.
// To begin somewhere else, change the table event_consumers, and add 1 to its epoch:
//
//	UPDATE event_consumers SET position = 41, ahead = '', seen = '', log_id = NULL, epoch = epoch + 1 WHERE consumer = 'billing';
//
// A process that runs the consumer then begins there when it has handled its next event,
// which has no effect until it is handled again. Without a new epoch that process would
// write its own position over yours.
//
// If the log is not the one that the position belongs to, because it was deleted and created
// again or a backup was restored over it, ConsumeMessages returns [eventlog.ErrReplaced]
// with what to do.
//
// The tables event_consumers and event_consumers_dead are made if they are missing. If
// the program may not make them, the error has the statements.
func ConsumeMessages[M proto.Message](ctx context.Context, log eventlog.Log, db *sql.DB, consumer string, handle func(context.Context, *sql.Tx, []eventlog.Stored[M]) error, options ...eventlog.ConsumeOption) error {
	if err := checkName(consumer); err != nil {
		return err
	}
	t := &target{db: db, log: log, consumer: consumer}
	apply := func(ctx context.Context, events []eventlog.Stored[M]) error {
		var fresh []eventlog.Stored[M]
		var records []*eventlog.Record
		for i := range events {
			if t.isDue(ctx, &events[i].Record) {
				fresh = append(fresh, events[i])
				records = append(records, &events[i].Record)
			}
		}
		if len(fresh) == 0 {
			return nil
		}
		return t.apply(ctx, records, func(ctx context.Context, tx *sql.Tx) error { return handle(ctx, tx, fresh) })
	}
	return eventlog.ConsumeMessageBatches(ctx, log, consumer, apply, append(options[:len(options):len(options)], eventlog.KeepPosition(t.begin))...)
}

// checkName returns an error for a name of a consumer that the tables can't have.
func checkName(consumer string) error {
	if err := eventlog.ValidateConsumer(consumer); err != nil {
		return err
	}
	if len(consumer) > 255 {
		return &eventlog.Error{Kind: eventlog.ErrInvalid, Detail: fmt.Sprintf("the name of the consumer has %d bytes; a database takes at most 255", len(consumer))}
	}
	return nil
}

// Tables returns the statements that make the tables which consumers need, for somebody
// who may make them, or for a migration.
func Tables(database dialect.Dialect) string {
	var text strings.Builder
	for _, table := range tables {
		text.WriteString(database.Create(table) + ";\n")
	}
	return text.String()
}

// tables are those that consumers need.
var tables = []dialect.Table{
	{Name: "event_consumers", Columns: `  consumer NAME NOT NULL PRIMARY KEY,
  position BIGINT, -- up to which everything is done; NULL: it has not begun
  ahead TEXT NOT NULL, -- what is done after that: "3 7-9", counted from position
  epoch BIGINT NOT NULL, -- counts who has claimed or moved it: only the last one can write
  changes BIGINT NOT NULL, -- counts the transactions: each changes the row, or MySQL would report that none was found
  log_id TEXT, -- of the log that position belongs to; NULL: of whichever is consumed next
  seen TEXT NOT NULL -- a position, and a hash of the source and id that its event has`},
	{Name: "event_consumers_dead", Columns: `  consumer NAME NOT NULL,
  position BIGINT NOT NULL, -- of an event that was given up and has had no effect
  PRIMARY KEY (consumer, position)`},
}

// pauses are how long to wait before a database is used again that has failed: at first,
// and at most.
const (
	firstPause = 50 * time.Millisecond
	mostPause  = time.Second
)

// isAway reports whether it is the database that failed, and not a handler's statement:
// it does not answer.
func isAway(ctx context.Context, db *sql.DB, err error) bool {
	return errors.Is(err, dialect.ErrUnreachable) || db.PingContext(ctx) != nil && ctx.Err() == nil
}
