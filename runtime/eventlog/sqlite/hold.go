package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// change makes changes other than appends, all of them or none.
func (l *fileLog) change(ctx context.Context, change func(*sql.Conn) error) error {
	if l.changes == nil {
		return l.unlessClosed(&eventlog.Error{Kind: eventlog.ErrReadOnly})
	}
	files := l.appender.writer.watch
	if err := files.known(); err != nil {
		return l.unlessClosed(err)
	}
	conn, err := connect(ctx, l.changes)
	if err == nil {
		l.underWay.start()
		err = transact(ctx, conn, func() error { return change(conn) })
		l.underWay.stop()
		if err == nil {
			err = files.check(true)
		}
		if isBroken(err) {
			discard(conn)
		} else {
			_ = conn.Close() // back to its pool
		}
	}
	switch {
	case err == nil:
		return nil
	case l.unlessClosed(nil) != nil:
		return &eventlog.Error{Kind: eventlog.ErrClosed}
	case ctx.Err() != nil:
		return eventlog.Ended(ctx)
	default:
		return callerError(err)
	}
}

// overwriting makes changes after which nothing of what is deleted is left in the file.
func (l *fileLog) overwriting(ctx context.Context, change func(*sql.Conn) error) error {
	return l.change(ctx, func(conn *sql.Conn) error {
		if _, err := conn.ExecContext(ctx, "PRAGMA secure_delete = 1"); err != nil {
			return err
		}
		defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA secure_delete = 0") }()
		return change(conn)
	})
}

// holds is the set of leases that a log has for consumers of this process.
type holds struct {
	mu     sync.Mutex
	held   map[*hold]bool
	closed bool
}

func (h *holds) add(one *hold) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	if h.held == nil {
		h.held = map[*hold]bool{}
	}
	h.held[one] = true
	return true
}

// remove removes a lease, and reports whether it was in the set.
func (h *holds) remove(one *hold) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer delete(h.held, one)
	return h.held[one]
}

func (h *holds) has(hold *hold) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.held[hold]
}

// close releases all of them.
func (h *holds) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for hold := range h.held {
		hold.lose(&eventlog.Error{Kind: eventlog.ErrClosed})
		errs = append(errs, hold.lease.close())
	}
	h.held, h.closed = nil, true
	return errors.Join(errs...)
}

// hold is the lease of a consumer of this process.
type hold struct {
	log   *fileLog
	name  string
	lease *lease
	lost  context.Context
	lose  context.CancelCauseFunc

	mu       sync.Mutex
	position sql.NullInt64
	keeper   string

	retries retries
}

// Hold implements [eventlog.Log].
func (l *fileLog) Hold(ctx context.Context, consumer string) (eventlog.Hold, error) {
	if err := eventlog.ValidateConsumer(consumer); err != nil {
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
	lock, holder, err := takeLease(ctx, l.leaseFile(number))
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, eventlog.Ended(ctx)
	case err != nil:
		return nil, callerError(err)
	case holder != "":
		return nil, eventlog.Held(consumer, holder)
	}
	hold := &hold{log: l, name: consumer, lease: lock}
	hold.lost, hold.lose = context.WithCancelCause(context.Background())
	err = l.use(ctx, func(r *reader) error { // now that nobody else commits one
		err := r.QueryRowContext(ctx, "SELECT place, keeper FROM consumers WHERE number = ? AND name = ?", number, consumer).Scan(&hold.position, &hold.keeper)
		if errors.Is(err, sql.ErrNoRows) { // deleted meanwhile
			return eventlog.Held(consumer, "")
		}
		return err
	})
	if err == nil && !l.holds.add(hold) {
		err = &eventlog.Error{Kind: eventlog.ErrClosed}
	}
	if err != nil {
		_ = lock.close()
		return nil, err
	}
	return hold, nil
}

// leaseFile returns the file whose lock is the lease of a consumer.
func (l *fileLog) leaseFile(consumer int64) string {
	return fmt.Sprintf("%s-consumer-%d", l.path, consumer)
}

// change makes a change while the lease is held.
func (h *hold) change(ctx context.Context, statement string, values ...any) error {
	if !h.log.holds.has(h) {
		return h.log.unlessClosed(eventlog.Held(h.name, ""))
	}
	return h.log.change(ctx, func(conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, statement, values...)
		return err
	})
}

// Position implements [eventlog.Hold].
func (h *hold) Position() (position eventlog.Position, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return eventlog.Position(h.position.Int64), h.position.Valid
}

// Restarted implements [eventlog.Hold]: positions are in the file of their events.
func (h *hold) Restarted() string { return "" }

// From implements [eventlog.Hold].
func (h *hold) From(after eventlog.Position) eventlog.From { return eventlog.After(after) }

// Lost implements [eventlog.Hold].
func (h *hold) Lost() context.Context { return h.lost }

// Commit implements [eventlog.Hold].
func (h *hold) Commit(ctx context.Context, to eventlog.Position) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.change(ctx, "UPDATE consumers SET place = ? WHERE name = ?", int64(to), h.name)
	if err == nil {
		h.position = sql.NullInt64{Int64: int64(to), Valid: true}
	}
	return err
}

// SetFailure implements [eventlog.Hold].
func (h *hold) SetFailure(ctx context.Context, failure eventlog.Failure) error {
	if failure == (eventlog.Failure{}) {
		return h.change(ctx, "UPDATE consumers SET failure = NULL WHERE name = ?", h.name)
	}
	failure.Reason = eventlog.CutReason(failure.Reason)
	text, err := json.Marshal(failure)
	if err != nil {
		return err
	}
	return h.change(ctx, "UPDATE consumers SET failure = ? WHERE name = ?", string(text), h.name)
}

// Keeper implements [eventlog.KeeperHold].
func (h *hold) Keeper() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.keeper
}

// SetKeeper implements [eventlog.KeeperHold].
func (h *hold) SetKeeper(ctx context.Context, keeper string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.change(ctx, "UPDATE consumers SET keeper = ? WHERE name = ?", keeper, h.name)
	if err == nil {
		h.keeper = keeper
	}
	return err
}

// PutDead implements [eventlog.Hold].
func (h *hold) PutDead(ctx context.Context, letter eventlog.DeadLetter) error {
	if !h.log.holds.has(h) {
		return h.log.unlessClosed(eventlog.Held(h.name, ""))
	}
	return h.log.overwriting(ctx, func(conn *sql.Conn) error { // the letter that it replaces
		erased, err := isErased(ctx, conn, &letter.Record)
		if err != nil {
			return err
		}
		if erased {
			_, err := conn.ExecContext(ctx, "DELETE FROM dead_letters WHERE consumer = ? AND position = ?", h.name, int64(letter.Position))
			return err
		}
		if schema, found := eventlog.FindSchema(letter.Version); found { // of a letter from another log
			values, err := schemaValues(schema)
			if err != nil {
				return err
			}
			if _, err := conn.ExecContext(ctx, insertSchema+" ON CONFLICT DO NOTHING", values[0], values[1], values[2], values[3]); err != nil {
				return err
			}
		}
		_, err = conn.ExecContext(ctx, insertLetter, letterValues(h.name, &letter)...)
		return err
	})
}

// isErased reports whether an event was erased since it was read. Its position may be that of
// another event, if it is from a log that was copied.
func isErased(ctx context.Context, conn *sql.Conn, read *eventlog.Record) (erased bool, err error) {
	err = conn.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM erased WHERE position = ?)
		AND NOT EXISTS (SELECT 1 FROM events WHERE position = ? AND (source, id) <> (?, ?))`,
		int64(read.Position), int64(read.Position), read.Source, read.ID).Scan(&erased)
	return erased, err
}

// Retries implements [eventlog.Hold].
func (h *hold) Retries(ctx context.Context) (letters []eventlog.DeadLetter, err error) {
	if !h.log.holds.has(h) {
		return nil, h.log.unlessClosed(eventlog.Held(h.name, ""))
	}
	err = h.log.use(ctx, func(r *reader) (err error) {
		letters, err = h.retries.read(ctx, r, h.name)
		return err
	})
	return letters, err
}

// retries keeps the dead letters that wait for a retry, as they were read last:
// they are asked for twice a second, and may take minutes to be handled.
type retries struct {
	mu    sync.Mutex
	known map[letterKey]eventlog.DeadLetter
}

// letterKey identifies a dead letter: one that is written again has another row.
type letterKey struct{ row, position int64 }

// read returns the first letters that wait for a retry, and reads those that it does
// not know: a page of them, or as many as have MaxTakenBytes together.
func (r *retries) read(ctx context.Context, reader *reader, consumer string) (letters []eventlog.DeadLetter, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	marked, err := reader.marked(ctx, consumer)
	if err != nil {
		return nil, err
	}
	known := map[letterKey]eventlog.DeadLetter{}
	for bytes := 0; len(marked) > 0 && bytes < eventlog.MaxTakenBytes; marked = marked[1:] {
		letter, ok := r.known[marked[0]]
		if !ok {
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

// RemoveDead implements [eventlog.Hold].
func (h *hold) RemoveDead(ctx context.Context, position eventlog.Position) error {
	if !h.log.holds.has(h) {
		return h.log.unlessClosed(eventlog.Held(h.name, ""))
	}
	_, err := h.log.changeLetters(ctx, h.log.overwriting, "DELETE FROM dead_letters", h.name, []eventlog.Position{position})
	return err
}

// Delete implements [eventlog.Hold]. The file whose lock is the lease stays: another
// process may be waiting for it.
func (h *hold) Delete(ctx context.Context) error {
	if !h.log.holds.has(h) {
		return h.log.unlessClosed(eventlog.Held(h.name, ""))
	}
	err := h.log.overwriting(ctx, func(conn *sql.Conn) error {
		for _, statement := range []string{"DELETE FROM dead_letters WHERE consumer = ?", "DELETE FROM consumers WHERE name = ?"} {
			if _, err := conn.ExecContext(ctx, statement, h.name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return h.Release()
}

// Release implements [eventlog.Hold].
func (h *hold) Release() error {
	if !h.log.holds.remove(h) {
		return nil
	}
	h.lose(eventlog.Held(h.name, ""))
	if err := h.lease.close(); err != nil {
		return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "releasing the lease of a consumer", Cause: err}
	}
	return nil
}

// Dead implements [eventlog.Log].
func (l *fileLog) Dead(ctx context.Context, consumer string) iter.Seq2[eventlog.DeadLetter, error] {
	return func(yield func(eventlog.DeadLetter, error) bool) {
		var last eventlog.DeadLetter
		for {
			letters, err := l.letters(ctx, "(consumer = ? OR ? = '') AND (consumer, position) > (?, ?)",
				consumer, consumer, last.Consumer, int64(last.Position))
			if err != nil {
				yield(eventlog.DeadLetter{}, err)
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

// How many dead letters are read at once: at least one, and none after they have
// reached either limit.
const (
	pageLetters = 100
	letterBytes = 8 << 20
)

// letters returns the first dead letters for which a condition is true.
func (l *fileLog) letters(ctx context.Context, condition string, values ...any) (letters []eventlog.DeadLetter, err error) {
	err = l.use(ctx, func(r *reader) (err error) {
		letters, err = r.letters(ctx, condition, values...)
		return err
	})
	return letters, err
}

func (r *reader) letters(ctx context.Context, condition string, values ...any) (letters []eventlog.DeadLetter, err error) {
	rows, err := r.QueryContext(ctx, "SELECT "+letterColumns+" FROM dead_letters WHERE "+condition+" ORDER BY consumer, position LIMIT ?",
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
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	for i := range letters {
		if err := r.findVersion(ctx, &letters[i].Record); err != nil {
			return nil, err
		}
	}
	return letters, nil
}

// marked returns the first dead letters that wait for a retry. It reads an index,
// and not the letters.
func (r *reader) marked(ctx context.Context, consumer string) (marked []letterKey, err error) {
	rows, err := r.QueryContext(ctx, `SELECT rowid, position FROM dead_letters INDEXED BY dead_letters_retrying
		WHERE consumer = ? AND retrying ORDER BY position LIMIT ?`, consumer, pageLetters)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var letter letterKey
		if err := rows.Scan(&letter.row, &letter.position); err != nil {
			return nil, err
		}
		marked = append(marked, letter)
	}
	return marked, rows.Err()
}

// Retry implements [eventlog.Log].
func (l *fileLog) Retry(ctx context.Context, consumer string, positions ...eventlog.Position) (int, error) {
	return l.changeLetters(ctx, l.change, "UPDATE dead_letters SET retrying = 1", consumer, positions)
}

// Discard implements [eventlog.Log].
func (l *fileLog) Discard(ctx context.Context, consumer string, positions ...eventlog.Position) (int, error) {
	return l.changeLetters(ctx, l.overwriting, "DELETE FROM dead_letters", consumer, positions)
}

// changeLetters runs a statement, in a transaction of change, for the dead letters of a
// consumer at positions, or for all if there are none, and returns how many there were.
func (l *fileLog) changeLetters(ctx context.Context, change func(context.Context, func(*sql.Conn) error) error,
	statement, consumer string, positions []eventlog.Position) (count int, err error) {
	if err := eventlog.ValidateConsumer(consumer); err != nil {
		return 0, err
	}
	err = change(ctx, func(conn *sql.Conn) error {
		count = 0
		where := func(condition string, values ...any) error {
			result, err := conn.ExecContext(ctx, statement+" WHERE consumer = ? AND "+condition, append([]any{consumer}, values...)...)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			count += int(n)
			return err
		}
		if len(positions) == 0 {
			return where("true")
		}
		for _, position := range positions {
			if err := where("position = ?", int64(position)); err != nil {
				return err
			}
		}
		return nil
	})
	return count, err
}
