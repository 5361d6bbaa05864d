package into

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/dialect"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// lease is the lease of the consumer, with its position in the database.
type lease struct {
	eventlog.Hold
	*target
	lost context.Context
}

// begin makes a lease of the log one with the position in the database.
func (t *target) begin(ctx context.Context, hold eventlog.Hold) (eventlog.Hold, error) {
	if err := t.open(ctx); err != nil {
		return nil, err
	}
	l := &lease{Hold: hold, target: t}
	t.running = ctx
	l.lost, t.lose = context.WithCancelCause(hold.Lost())
	claimed, err := t.claim(ctx, 0)
	if err != nil {
		return nil, t.failed(ctx, err)
	}
	t.mu.Lock()
	t.row, t.unknown, t.logID = claimed, false, hold.From(0).Log
	t.mu.Unlock()
	if err := t.check(ctx, hold); err != nil {
		t.lose(err)
		return nil, err
	}
	if known, ok := hold.(eventlog.KeeperHold); ok && known.Keeper() != string(t.dialect) {
		if err := known.SetKeeper(ctx, string(t.dialect)); err != nil {
			return nil, err
		}
	}
	if claimed.begun {
		// The copy in the log is older.
		if position, ok := hold.Position(); !ok || position != claimed.position {
			if err := hold.Commit(ctx, claimed.position); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

// open finds out what the database is, and makes the tables.
func (t *target) open(ctx context.Context) (err error) {
	if t.dialect != "" {
		return nil
	}
	database, err := dialect.Of(ctx, t.db)
	if err != nil {
		return t.failed(ctx, err)
	}
	if err := database.Ensure(ctx, t.db, tables...); err != nil {
		if errors.Is(err, dialect.ErrUnreachable) {
			return t.failed(ctx, err)
		}
		return err
	}
	t.dialect = database
	return nil
}

// failed returns the error of a database as one after which a consumer waits, unless
// waiting does not help. The caller has no connection.
func (t *target) failed(ctx context.Context, err error) error {
	var damaged *damagedRow
	if errors.Is(err, eventlog.ErrHeld) || errors.As(err, &damaged) {
		return err
	}
	return &unavailable{t.consumer, isAway(ctx, t.db, err), err}
}

// unavailable is the error of a database that a consumer waits for.
type unavailable struct {
	consumer string
	isAway   bool
	cause    error
}

func (u *unavailable) Error() string {
	if u.isAway {
		return fmt.Sprintf("the database with the position of consumer %q does not answer: %v", u.consumer, u.cause)
	}
	return fmt.Sprintf("the position of consumer %q can't be read or changed in its database: %v", u.consumer, u.cause)
}

// Unwrap makes [errors.Is] see that the consumer can go on later, and the cause.
func (u *unavailable) Unwrap() []error { return []error{eventlog.ErrUnavailable, u.cause} }

// check returns an error if the position is not one of this log.
func (t *target) check(ctx context.Context, hold eventlog.Hold) error {
	position, known := hold.Position()
	switch {
	case !t.row.begun && known && position > 0:
		return refusal("the log says that consumer %q has handled everything up to position %d, and the database knows nothing of it. "+
			"If it has the effects of those events, run there: %s "+
			"If not, delete the consumer in the log: events consumers delete --copy --consumer %s",
			t.consumer, position, t.dialect.MoveConsumer(t.consumer, int64(position)), inShell(t.consumer))
	case !t.row.begun || t.row.position == 0 && t.row.seen == "":
		return nil
	case t.row.logID.Valid && t.row.logID.String != t.logID:
		return t.replaced("it is another one", position)
	case t.row.logID.Valid && hold.Restarted() != "":
		return t.replaced(hold.Restarted(), position)
	}
	stats, err := t.log.Stats(ctx)
	if err != nil {
		return err
	}
	if stats.Events > 0 && stats.Last < t.row.position {
		return t.replaced(fmt.Sprintf("it ends at position %d", stats.Last), position)
	}
	found, same, err := t.find(ctx)
	switch {
	case err != nil:
		return err
	case found && !same:
		return t.replaced("another event is at a position that was handled", position)
	case !found && !known && t.row.logID.Valid: // all that was handled is deleted by now; or it is a new log
		return t.replaced("it has none of the events that were handled, and does not know the consumer", position)
	}
	return nil
}

// find looks in the log for the event that was handled last, and reports whether there is
// an event at its position, and whether it is that one.
func (t *target) find(ctx context.Context) (found, same bool, err error) {
	var position eventlog.Position
	if _, err := fmt.Sscan(t.row.seen, &position); err != nil {
		return false, false, nil // nothing was handled yet, only passed over
	}
	for record, err := range t.log.Read(ctx, eventlog.From{After: position - 1, Log: t.logID}) {
		if err != nil {
			return false, false, err
		}
		return record.Position == position, seen(&record) == t.row.seen, nil
	}
	return false, false, nil
}

// replaced returns the error of a log that is not the one which the position belongs to, and
// that says how far the consumer is, as the copy of a log and a backup do; 0 if it does not.
func (t *target) replaced(why string, position eventlog.Position) error {
	such := "such as 0"
	if position > 0 {
		such = fmt.Sprintf("such as %d, up to which it says that the consumer has handled everything", position)
	}
	return refusal("the database has position %d of consumer %q, and the log is not the one that it belongs to: %s. "+
		"To go on after a position of this log, %s, run there: %s",
		t.row.position, t.consumer, why, such, t.dialect.MoveConsumer(t.consumer, int64(position)))
}

// inShell returns a text as one word of a command.
func inShell(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func refusal(format string, args ...any) error {
	return &eventlog.Error{Kind: eventlog.ErrReplaced, Detail: strings.TrimSpace(fmt.Sprintf(format, args...))}
}

// Position implements [eventlog.Hold].
func (l *lease) Position() (position eventlog.Position, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.row.position, l.row.begun
}

// Restarted implements [eventlog.Hold]: a consumer does not begin again without the
// knowledge of its database.
func (l *lease) Restarted() string { return "" }

// Lost implements [eventlog.Hold].
func (l *lease) Lost() context.Context { return l.lost }

// Commit implements [eventlog.Hold]. The handlers' transactions have recorded most events
// already. What is left are events that were passed over.
func (l *lease) Commit(ctx context.Context, to eventlog.Position) error {
	l.mu.Lock()
	behind := !l.row.begun || l.row.position < to
	l.mu.Unlock()
	if behind {
		err := l.change(ctx, func(_ *sql.Tx, next row) (row, error) {
			next.progress = next.upTo(to)
			return next, nil
		})
		if err != nil {
			return err
		}
	}
	return l.Hold.Commit(ctx, to)
}

// PutDead implements [eventlog.Hold]. If the process is killed in between, the event is
// tried again, and may have its effect then: the letter of the log is not enough for one.
func (l *lease) PutDead(ctx context.Context, letter eventlog.DeadLetter) error {
	if err := l.db.PingContext(ctx); err != nil {
		return &unavailable{l.consumer, true, err}
	}
	if err := l.Hold.PutDead(ctx, letter); err != nil {
		return err
	}
	return l.change(ctx, func(tx *sql.Tx, next row) (row, error) {
		key := []any{l.consumer, int64(letter.Position)}
		if _, err := l.exec(ctx, tx, "DELETE FROM event_consumers_dead WHERE consumer = ? AND position = ?", key...); err != nil {
			return next, err
		}
		_, err := l.exec(ctx, tx, "INSERT INTO event_consumers_dead (consumer, position) VALUES (?, ?)", key...)
		next.progress = next.with(letter.Position)
		return next, err
	})
}

// change changes the row in a transaction of its own.
func (l *lease) change(ctx context.Context, edit func(*sql.Tx, row) (row, error)) error {
	if l.lost.Err() != nil {
		return context.Cause(l.lost)
	}
	if err := l.tryChange(ctx, edit); err != nil { // it can be done again, even if only the answer of its COMMIT was lost
		return l.failed(ctx, err)
	}
	return nil
}

func (l *lease) tryChange(ctx context.Context, edit func(*sql.Tx, row) (row, error)) error {
	if err := l.know(ctx); err != nil {
		return err
	}
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { _ = tx.Rollback() }()
	if l.unknown {
		return errUnknown
	}
	next, err := edit(tx, l.row)
	if err != nil {
		return err
	}
	if err := l.write(ctx, tx, next); err != nil {
		return err
	}
	return l.commit(tx, next)
}
