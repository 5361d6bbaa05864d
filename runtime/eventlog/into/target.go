package into

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/dialect"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// target is a consumer in its database, while this process runs it.
type target struct {
	db       *sql.DB
	log      eventlog.Log
	consumer string
	dialect  dialect.Dialect // "" until it is known

	running context.Context         // ends when the consumer is to stop
	lose    context.CancelCauseFunc // ends the lease

	// mu is held from the change of the consumer's row until its transaction has ended,
	// so that what is known of the row here is what is in it. Whoever locks it has a
	// connection already: the pool may be smaller than the number of those who want one.
	mu      sync.Mutex
	row     row
	unknown bool   // whether a COMMIT has failed, so that the row may be another
	logID   string // of the log that is consumed

	reading sync.Mutex // held while the row is read again, from before there is a connection
}

// row is what event_consumers has of the consumer.
type row struct {
	begun bool
	progress
	epoch int64
	logID sql.NullString // not valid: that of whichever log is consumed next
	seen  string
}

// outside is an error of the database, not of what a handler did with it.
type outside struct{ error }

func (o outside) Unwrap() error { return o.error }

// claim makes this process the one that can change the row of the consumer, and reads
// it. If epoch is not 0, it does so only if no other process has claimed it since.
//
// It waits for a transaction of the process before that has changed the row: so what it
// reads is what that one has left, even if its commit was sent and never answered.
func (t *target) claim(ctx context.Context, epoch int64) (row, error) {
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return row{}, err
	}
	defer func() { _ = tx.Rollback() }()
	statement, args := "UPDATE event_consumers SET epoch = epoch + 1, changes = changes + 1 WHERE consumer = ?", []any{t.consumer}
	if epoch != 0 {
		statement, args = statement+" AND epoch = ?", append(args, epoch)
	}
	changed, err := t.exec(ctx, tx, statement, args...)
	switch {
	case err != nil:
		return row{}, err
	case changed == 0 && epoch != 0:
		return row{}, t.held()
	case changed == 0:
		_, err := t.exec(ctx, tx, "INSERT INTO event_consumers (consumer, ahead, epoch, changes, seen) VALUES (?, '', 1, 1, '')", t.consumer)
		if err != nil { // perhaps because another process did the same
			return row{}, err
		}
	}
	var read row
	var position sql.NullInt64
	var ahead string
	err = tx.QueryRowContext(ctx, t.dialect.Bind("SELECT position, ahead, epoch, log_id, seen FROM event_consumers WHERE consumer = ?"), t.consumer).
		Scan(&position, &ahead, &read.epoch, &read.logID, &read.seen)
	if err != nil {
		return row{}, err
	}
	read.begun = position.Valid
	if read.progress, err = parseProgress(eventlog.Position(position.Int64), ahead); err != nil {
		err := &damagedRow{t.consumer, err}
		t.lose(err) // nobody can go on with it
		return row{}, err
	}
	return read, tx.Commit()
}

// damagedRow is the error of a row that somebody has changed to what no consumer writes.
type damagedRow struct {
	consumer string
	cause    error
}

func (d *damagedRow) Error() string {
	return fmt.Sprintf("the row of consumer %q in table event_consumers can't be read: %v; correct its column ahead, which has what is handled after the position, counted from there, such as \"3 7-9\", or is empty",
		d.consumer, d.cause)
}

func (d *damagedRow) Unwrap() error { return d.cause }

// exec executes a statement, and returns how many rows it has changed.
func (t *target) exec(ctx context.Context, tx *sql.Tx, statement string, args ...any) (changed int64, err error) {
	result, err := tx.ExecContext(ctx, t.dialect.Bind(statement), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// held returns the error of a consumer that another process has taken over, or somebody
// has moved, and ends the lease.
func (t *target) held() error {
	err := &eventlog.Error{Kind: eventlog.ErrHeld, Detail: fmt.Sprintf("another process has taken the position of consumer %q over in the database, or somebody has moved it there", t.consumer)}
	t.lose(err)
	return err
}

// isDue reports whether an event has not had its effect yet.
func (t *target) isDue(ctx context.Context, record *eventlog.Record) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return eventlog.IsRetry(ctx) || !t.row.has(record.Position)
}

// apply has a handler take some events in a transaction, which also notes that they are
// done. While the database is away it waits, and tries again.
func (t *target) apply(ctx context.Context, records []*eventlog.Record, effect func(context.Context, *sql.Tx) error) error {
	var uncommitted error // of a COMMIT that failed, until it is known whether it did
	logged := false
	for wait := firstPause; ; wait = min(2*wait, mostPause) {
		var err error
		if uncommitted == nil {
			err = t.transact(ctx, records, effect)
		} else if committed, asked := t.isDone(ctx, records); asked != nil {
			err = outside{asked}
		} else if committed {
			return nil
		} else {
			err, uncommitted = uncommitted, nil
		}
		var failed outside
		var commit commitError
		switch {
		case err == nil, errors.Is(err, eventlog.ErrHeld), ctx.Err() != nil:
			return err
		case errors.As(err, &commit):
			uncommitted = commit.error
			continue
		case !errors.As(err, &failed) && !isAway(ctx, t.db, err):
			return err
		case wait == mostPause && !logged:
			logged = true
			slog.WarnContext(ctx, "the consumer waits for the database", "consumer", t.consumer, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-t.running.Done():
			if uncommitted != nil { // the event must not be given up: perhaps it has had its effect
				t.lose(uncommitted)
			}
			return err
		case <-time.After(wait):
		}
	}
}

// transact is one try of apply.
//
// SQLite has one writer at a time, and a transaction that has read can't become the
// writer once another has written. So there the row is changed first, which makes the
// transaction the writer, and elsewhere last, so that transactions run beside each other:
// mu must not be held while a handler waits for a row that another handler has locked,
// because that one waits for mu next, and the database does not see such a deadlock.
func (t *target) transact(ctx context.Context, records []*eventlog.Record, effect func(context.Context, *sql.Tx) error) error {
	if err := t.know(ctx); err != nil {
		return outside{err}
	}
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return outside{err}
	}
	defer func() { _ = tx.Rollback() }()
	if t.dialect == dialect.SQLite {
		t.mu.Lock()
		defer t.mu.Unlock()
		defer func() { _ = tx.Rollback() }() // before others change the row
	}
	if eventlog.IsRetry(ctx) {
		removed, err := t.exec(ctx, tx, "DELETE FROM event_consumers_dead WHERE consumer = ? AND position = ?", t.consumer, int64(records[0].Position))
		if err != nil {
			return outside{err}
		}
		if removed == 0 { // it has had its effect
			return nil
		}
	}
	var next row
	if t.dialect == dialect.SQLite {
		if next, err = t.note(ctx, tx, records); err != nil {
			return outside{err}
		}
	}
	if err := effect(ctx, tx); err != nil {
		return err
	}
	if t.dialect != dialect.SQLite {
		t.mu.Lock()
		defer t.mu.Unlock()
		defer func() { _ = tx.Rollback() }()
		if next, err = t.note(ctx, tx, records); err != nil {
			return outside{err}
		}
	}
	return t.commit(tx, next)
}

// note notes in a transaction that events are done, and returns the row with that. mu is
// held.
func (t *target) note(ctx context.Context, tx *sql.Tx, records []*eventlog.Record) (next row, err error) {
	if t.unknown {
		return row{}, errUnknown
	}
	next = t.row
	if !eventlog.IsRetry(ctx) {
		var positions []eventlog.Position
		for _, record := range records {
			positions = append(positions, record.Position)
		}
		next.progress = next.with(positions...)
		next.seen = seen(records[len(records)-1])
	}
	return next, t.write(ctx, tx, next)
}

// write writes the row, if this process is still the one that can. mu is held.
func (t *target) write(ctx context.Context, tx *sql.Tx, next row) error {
	changed, err := t.exec(ctx, tx, "UPDATE event_consumers SET position = ?, ahead = ?, log_id = ?, seen = ?, changes = changes + 1 WHERE consumer = ? AND epoch = ?",
		int64(next.position), next.text(), t.logID, next.seen, t.consumer, next.epoch)
	if err == nil && changed == 0 {
		return t.held()
	}
	return err
}

// errUnknown is the error of a transaction that does not change the row, because that was
// changed by another one whose COMMIT failed meanwhile.
var errUnknown = errors.New("it is not known whether the transaction before was committed")

// commitError is the error of a COMMIT. Perhaps only its answer was lost.
type commitError struct{ error }

func (c commitError) Unwrap() error { return c.error }

// commit commits a transaction that has written the row. mu is held. If it fails, nothing
// is written until know has found out what is in the row: not here, because that takes
// another connection, and those who have one wait for mu.
func (t *target) commit(tx *sql.Tx, next row) error {
	if err := tx.Commit(); err != nil {
		t.unknown = true
		return commitError{err}
	}
	next.begun, next.logID = true, sql.NullString{String: t.logID, Valid: true}
	t.row = next
	return nil
}

// know reads the row again if a COMMIT has failed. The caller has no connection, and does
// not hold mu.
func (t *target) know(ctx context.Context) error {
	t.reading.Lock()
	defer t.reading.Unlock()
	t.mu.Lock()
	unknown, epoch := t.unknown, t.row.epoch
	t.mu.Unlock()
	if !unknown {
		return nil
	}
	current, err := t.claim(ctx, epoch)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.row, t.unknown = current, false
	return nil
}

// isDone reports whether events have had their effect, after a COMMIT of it has failed.
func (t *target) isDone(ctx context.Context, records []*eventlog.Record) (bool, error) {
	if err := t.know(ctx); err != nil {
		return false, err
	}
	if eventlog.IsRetry(ctx) {
		dead, err := t.isDead(ctx, records[0].Position)
		return !dead, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.row.has(records[0].Position), nil
}

// isDead reports whether an event was given up and has had no effect since.
func (t *target) isDead(ctx context.Context, position eventlog.Position) (bool, error) {
	var count int
	err := t.db.QueryRowContext(ctx, t.dialect.Bind("SELECT count(*) FROM event_consumers_dead WHERE consumer = ? AND position = ?"), t.consumer, int64(position)).Scan(&count)
	return count > 0, err
}

// seen returns what the row has of an event, to know the log by.
func seen(record *eventlog.Record) string {
	sum := sha256.Sum256([]byte(record.Source + "\x00" + record.ID))
	return fmt.Sprintf("%d %s", record.Position, hex.EncodeToString(sum[:8]))
}
