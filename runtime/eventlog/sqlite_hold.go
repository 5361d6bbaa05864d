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
		return Ended(ctx)
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
		hold.lose(&Error{Kind: ErrClosed})
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
	lost context.Context
	lose context.CancelCauseFunc

	mu       sync.Mutex
	position sql.NullInt64

	retries sqliteRetries
}

// Hold implements [Log].
func (l *sqliteLog) Hold(ctx context.Context, consumer string) (Hold, error) {
	if err := ValidateConsumer(consumer); err != nil {
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
		return nil, Ended(ctx)
	case err != nil:
		return nil, sqliteFailure(err)
	case holder != "":
		return nil, Held(consumer, holder)
	}
	hold := &sqliteHold{log: l, name: consumer, lock: lock}
	hold.lost, hold.lose = context.WithCancelCause(context.Background())
	err = l.use(ctx, func(r *sqliteReader) error { // now that nobody else moves it
		return r.QueryRowContext(ctx, "SELECT place FROM consumers WHERE name = ?", consumer).Scan(&hold.position)
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
		return h.log.refusal(Held(h.name, ""))
	}
	return h.log.change(ctx, func(conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, statement, values...)
		return err
	})
}

// Position implements [Hold].
func (h *sqliteHold) Position() (position Position, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Position(h.position.Int64), h.position.Valid
}

// Restarted implements [Hold]: positions are in the file of their events.
func (h *sqliteHold) Restarted() string { return "" }

// From implements [Hold].
func (h *sqliteHold) From(after Position) From { return After(after) }

// Lost implements [Hold].
func (h *sqliteHold) Lost() context.Context { return h.lost }

// Commit implements [Hold].
func (h *sqliteHold) Commit(ctx context.Context, to Position) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.change(ctx, "UPDATE consumers SET place = ? WHERE name = ?", int64(to), h.name)
	if err == nil {
		h.position = sql.NullInt64{Int64: int64(to), Valid: true}
	}
	return err
}

// PutDead implements [Hold].
func (h *sqliteHold) PutDead(ctx context.Context, letter DeadLetter) error {
	data := letter.Data
	if data == nil {
		data = []byte{} // nil would be NULL
	}
	return h.change(ctx, `INSERT OR REPLACE INTO dead_letters
		(consumer, position, source, id, type, subject, time, recorded, schema, data, tries, reason, buried, retrying)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
		h.name, int64(letter.Position), letter.Source, letter.ID, letter.Type, letter.Subject,
		letter.Time.UTC().Format(sqliteTime), letter.Recorded.UTC().Format(sqliteTime), letter.Schema, data,
		letter.Tries, CutReason(letter.Reason), letter.GaveUp.UTC().Format(sqliteTime))
}

// Retries implements [Hold].
func (h *sqliteHold) Retries(ctx context.Context) (letters []DeadLetter, err error) {
	if !h.log.holds.has(h) {
		return nil, h.log.refusal(Held(h.name, ""))
	}
	err = h.log.use(ctx, func(r *sqliteReader) (err error) {
		letters, err = h.retries.read(ctx, r, h.name)
		return err
	})
	return letters, err
}

// sqliteRetries are the dead letters to be tried again that were read last. They
// are asked for twice a second, and may take minutes to be handled.
type sqliteRetries struct {
	mu    sync.Mutex
	known map[sqliteLetter]DeadLetter
}

// sqliteLetter identifies a dead letter: one that is written again has another
// row.
type sqliteLetter struct{ row, position int64 }

// read reads those that it does not know. All together have at least
// MaxTakenBytes, or there are no more of them, or as many as are read at once.
func (r *sqliteRetries) read(ctx context.Context, reader *sqliteReader, consumer string) (letters []DeadLetter, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	marked, err := reader.marked(ctx, consumer)
	if err != nil {
		return nil, err
	}
	known := map[sqliteLetter]DeadLetter{}
	for bytes := 0; len(marked) > 0 && bytes < MaxTakenBytes; marked = marked[1:] {
		letter, is := r.known[marked[0]]
		if !is {
			found, err := reader.letters(ctx, "rowid = ? AND position = ? AND retrying", marked[0].row, marked[0].position)
			if err != nil {
				return nil, err
			}
			if len(found) == 0 {
				continue // it was just handled
			}
			letter = found[0]
		}
		known[marked[0]] = letter
		letters = append(letters, letter)
		bytes += letter.Size()
	}
	r.known = known
	return letters, nil
}

// RemoveDead implements [Hold].
func (h *sqliteHold) RemoveDead(ctx context.Context, position Position) error {
	return h.change(ctx, "DELETE FROM dead_letters WHERE consumer = ? AND position = ?", h.name, int64(position))
}

// Release implements [Hold].
func (h *sqliteHold) Release() error {
	if !h.log.holds.remove(h) {
		return nil
	}
	h.lose(Held(h.name, ""))
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

// How many dead letters are read at once: at least one, and no more once either
// bound is reached.
const (
	pageLetters = 100
	letterBytes = 8 << 20
)

// letters are the first dead letters for which a condition is true.
func (l *sqliteLog) letters(ctx context.Context, condition string, values ...any) (letters []DeadLetter, err error) {
	err = l.use(ctx, func(r *sqliteReader) (err error) {
		letters, err = r.letters(ctx, condition, values...)
		return err
	})
	return letters, err
}

func (r *sqliteReader) letters(ctx context.Context, condition string, values ...any) (letters []DeadLetter, err error) {
	rows, err := r.QueryContext(ctx, `SELECT consumer, position, source, id, type, subject, time, recorded, schema, data,
		tries, reason, buried, retrying FROM dead_letters WHERE `+condition+` ORDER BY consumer, position LIMIT ?`,
		append(values, pageLetters)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for bytes := 0; bytes < letterBytes && rows.Next(); {
		letter, err := scanLetter(rows)
		if err != nil {
			return nil, err
		}
		letters = append(letters, letter)
		bytes += letter.Size()
	}
	return letters, rows.Err()
}

// marked are the first dead letters that are to be tried again. Its statement
// reads an index, and not the letters.
func (r *sqliteReader) marked(ctx context.Context, consumer string) (marked []sqliteLetter, err error) {
	rows, err := r.QueryContext(ctx, `SELECT rowid, position FROM dead_letters INDEXED BY dead_letters_retrying
		WHERE consumer = ? AND retrying ORDER BY position LIMIT ?`, consumer, pageLetters)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var letter sqliteLetter
		if err := rows.Scan(&letter.row, &letter.position); err != nil {
			return nil, err
		}
		marked = append(marked, letter)
	}
	return marked, rows.Err()
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
	}{{&letter.Time, happened}, {&letter.Recorded, recorded}, {&letter.GaveUp, buried}} {
		if *t.into, err = parseSQLiteTime(t.text); err != nil {
			return DeadLetter{}, fmt.Errorf("the dead letter of %q at position %d: %w", letter.Consumer, letter.Position, err)
		}
	}
	return letter, nil
}

// Retry implements [Log].
func (l *sqliteLog) Retry(ctx context.Context, consumer string, positions ...Position) (count int, err error) {
	if err := ValidateConsumer(consumer); err != nil {
		return 0, err
	}
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
