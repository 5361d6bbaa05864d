package eventlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"
)

// change makes changes other than appends, all of them or none.
func (l *sqliteLog) change(ctx context.Context, change func(*sql.Conn) error) error {
	if l.changes == nil {
		return l.refusal(&Error{Kind: ErrReadOnly})
	}
	conn, err := connect(ctx, l.changes)
	if err == nil {
		l.underWay.begin()
		err = transact(ctx, conn, func() error { return change(conn) })
		l.underWay.end()
		if sqliteIsBroken(err) {
			discard(conn)
		} else {
			_ = conn.Close() // back to its pool
		}
	}
	switch {
	case err == nil:
		return nil
	case l.refusal(nil) != nil:
		return &Error{Kind: ErrClosed}
	case ctx.Err() != nil:
		return ended(ctx)
	default:
		return sqliteFailure(err)
	}
}

// sqliteHolds are the places that a log has for consumers of this process.
type sqliteHolds struct {
	mu     sync.Mutex
	held   map[*sqliteHold]bool
	closed bool
}

func (h *sqliteHolds) add(hold *sqliteHold) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	if h.held == nil {
		h.held = map[*sqliteHold]bool{}
	}
	h.held[hold] = true
	return true
}

// remove is whether it was there.
func (h *sqliteHolds) remove(hold *sqliteHold) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer delete(h.held, hold)
	return h.held[hold]
}

func (h *sqliteHolds) has(hold *sqliteHold) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.held[hold]
}

// close releases all.
func (h *sqliteHolds) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for hold := range h.held {
		errs = append(errs, hold.lock.close())
	}
	h.held, h.closed = nil, true
	return errors.Join(errs...)
}

// sqliteHold is the place of a consumer, which its lock keeps for this process.
type sqliteHold struct {
	log  *sqliteLog
	name string
	lock *sqliteLock

	mu    sync.Mutex
	place sql.NullInt64
}

// Hold implements [Log].
func (l *sqliteLog) Hold(ctx context.Context, consumer string) (Hold, error) {
	if err := validateConsumer(consumer); err != nil {
		return nil, err
	}
	var number int64
	err := l.change(ctx, func(conn *sql.Conn) error {
		if _, err := conn.ExecContext(ctx, "INSERT OR IGNORE INTO consumers (name) VALUES (?)", consumer); err != nil {
			return err
		}
		return conn.QueryRowContext(ctx, "SELECT number FROM consumers WHERE name = ?", consumer).Scan(&number)
	})
	if err != nil {
		return nil, err
	}
	lock, holder, err := lockSQLite(ctx, l.lockFile(number))
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ended(ctx)
	case err != nil:
		return nil, sqliteFailure(err)
	case holder != "":
		return nil, held(consumer, holder)
	}
	hold := &sqliteHold{log: l, name: consumer, lock: lock}
	err = l.use(ctx, func(r *sqliteReader) error { // now that nobody else moves it
		return r.QueryRowContext(ctx, "SELECT place FROM consumers WHERE name = ?", consumer).Scan(&hold.place)
	})
	if err == nil && !l.holds.add(hold) {
		err = &Error{Kind: ErrClosed}
	}
	if err != nil {
		_ = lock.close()
		return nil, err
	}
	return hold, nil
}

// lockFile is the file that stands for the lock of a consumer.
func (l *sqliteLog) lockFile(consumer int64) string {
	return fmt.Sprintf("%s-consumer-%d", l.path, consumer)
}

// change makes changes while the place is held.
func (h *sqliteHold) change(ctx context.Context, statement string, values ...any) error {
	if !h.log.holds.has(h) {
		return h.log.refusal(held(h.name, ""))
	}
	return h.log.change(ctx, func(conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, statement, values...)
		return err
	})
}

// Place implements [Hold].
func (h *sqliteHold) Place() (place Position, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Position(h.place.Int64), h.place.Valid
}

// Move implements [Hold].
func (h *sqliteHold) Move(ctx context.Context, to Position) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.change(ctx, "UPDATE consumers SET place = ? WHERE name = ?", int64(to), h.name)
	if err == nil {
		h.place = sql.NullInt64{Int64: int64(to), Valid: true}
	}
	return err
}

// Bury implements [Hold].
func (h *sqliteHold) Bury(ctx context.Context, letter DeadLetter) error {
	data := letter.Data
	if data == nil {
		data = []byte{} // nil would be NULL
	}
	return h.change(ctx, `INSERT OR REPLACE INTO dead_letters
		(consumer, position, source, id, type, subject, time, recorded, schema, data, tries, reason, buried, retrying)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
		h.name, int64(letter.Position), letter.Source, letter.ID, letter.Type, letter.Subject,
		letter.Time.UTC().Format(sqliteTime), letter.Recorded.UTC().Format(sqliteTime), letter.Schema, data,
		letter.Tries, letter.Reason, letter.Buried.UTC().Format(sqliteTime))
}

// Retries implements [Hold].
func (h *sqliteHold) Retries(ctx context.Context) ([]DeadLetter, error) {
	if !h.log.holds.has(h) {
		return nil, h.log.refusal(held(h.name, ""))
	}
	return h.log.letters(ctx, "consumer = ? AND retrying", h.name)
}

// Revive implements [Hold].
func (h *sqliteHold) Revive(ctx context.Context, position Position) error {
	return h.change(ctx, "DELETE FROM dead_letters WHERE consumer = ? AND position = ?", h.name, int64(position))
}

// Release implements [Hold].
func (h *sqliteHold) Release() error {
	if !h.log.holds.remove(h) {
		return nil
	}
	if err := h.lock.close(); err != nil {
		return &Error{Kind: ErrUnavailable, Detail: "releasing the place of a consumer", Cause: err}
	}
	return nil
}

// Dead implements [Log].
func (l *sqliteLog) Dead(ctx context.Context, consumer string) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		var last DeadLetter
		for {
			letters, err := l.letters(ctx, "(consumer = ? OR ? = '') AND (consumer, position) > (?, ?)",
				consumer, consumer, last.Consumer, int64(last.Position))
			if err != nil {
				yield(DeadLetter{}, err)
				return
			}
			if len(letters) == 0 {
				return
			}
			for _, last = range letters {
				if !yield(last, nil) {
					return
				}
			}
		}
	}
}

// letters are the first dead letters for which a condition is true.
func (l *sqliteLog) letters(ctx context.Context, condition string, values ...any) (letters []DeadLetter, err error) {
	err = l.use(ctx, func(r *sqliteReader) error {
		rows, err := r.QueryContext(ctx, `SELECT consumer, position, source, id, type, subject, time, recorded, schema, data,
			tries, reason, buried, retrying FROM dead_letters WHERE `+condition+` ORDER BY consumer, position LIMIT 100`, values...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			letter, err := scanLetter(rows)
			if err != nil {
				return err
			}
			letters = append(letters, letter)
		}
		return rows.Err()
	})
	return letters, err
}

func scanLetter(rows *sql.Rows) (letter DeadLetter, err error) {
	var happened, recorded, buried string
	if err := rows.Scan(&letter.Consumer, &letter.Position, &letter.Source, &letter.ID, &letter.Type, &letter.Subject,
		&happened, &recorded, &letter.Schema, &letter.Data, &letter.Tries, &letter.Reason, &buried, &letter.Retrying); err != nil {
		return DeadLetter{}, err
	}
	for _, t := range []struct {
		into *time.Time
		text string
	}{{&letter.Time, happened}, {&letter.Recorded, recorded}, {&letter.Buried, buried}} {
		if *t.into, err = parseSQLiteTime(t.text); err != nil {
			return DeadLetter{}, fmt.Errorf("the dead letter of %q at position %d: %w", letter.Consumer, letter.Position, err)
		}
	}
	return letter, nil
}

// Retry implements [Log].
func (l *sqliteLog) Retry(ctx context.Context, consumer string, positions ...Position) (count int, err error) {
	err = l.change(ctx, func(conn *sql.Conn) error {
		count = 0
		mark := func(condition string, values ...any) error {
			result, err := conn.ExecContext(ctx, "UPDATE dead_letters SET retrying = 1 WHERE consumer = ? AND "+condition,
				append([]any{consumer}, values...)...)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			count += int(n)
			return err
		}
		if len(positions) == 0 {
			return mark("true")
		}
		for _, position := range positions {
			if err := mark("position = ?", int64(position)); err != nil {
				return err
			}
		}
		return nil
	})
	return count, err
}
