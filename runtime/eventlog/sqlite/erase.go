//runtime:with operate.Backup eventlog.FileLog eventlog.Restore eventlog.ImportLog eventlog.EraseLog

package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// erasedColumns sets what an event has when it is erased.
const erasedColumns = "subject = '', data = x'', traceparent = '', version = -1"

// How many events are looked at, and how many are erased, in one transaction, since appends
// wait for the second.
const (
	scanEvents  = 20_000
	eraseEvents = 200
)

// Erase implements [eventlog.EraseLog]. What it erases is overwritten in the file, as dead
// letters are whenever they are removed, and the write-ahead log, which may have it too, is
// moved there and emptied.
func (l *fileLog) Erase(ctx context.Context, source, subject string, positions ...eventlog.Position) (erased eventlog.Erasure, err error) {
	if len(positions) == 0 {
		erased.Events, err = l.eraseAll(ctx, source, subject)
	}
	for some := range slices.Chunk(positions, eraseEvents) {
		var found []int64
		for _, position := range some {
			at, err := l.positionsOf(ctx, source, subject, position-1, position)
			if err != nil {
				return erased, err
			}
			found = append(found, at...)
		}
		if err := l.erase(ctx, found); err != nil {
			return erased, err
		}
		erased.Events += int64(len(found))
	}
	if err != nil {
		return erased, err
	}
	err = l.overwriting(ctx, func(conn *sql.Conn) error {
		erased.Letters = 0
		remove := func(condition string, values ...any) error {
			condition, values = "FROM dead_letters WHERE source = ? AND subject = ?"+condition, append([]any{source, subject}, values...)
			// Of these, the events are deleted; a consumer may be trying a letter again.
			_, err := conn.ExecContext(ctx, "INSERT OR IGNORE INTO erased SELECT position "+condition+
				" AND NOT EXISTS (SELECT 1 FROM events WHERE events.position = dead_letters.position)", values...)
			if err != nil {
				return err
			}
			result, err := conn.ExecContext(ctx, "DELETE "+condition, values...)
			if err != nil {
				return err
			}
			count, err := result.RowsAffected()
			erased.Letters += count
			return err
		}
		if len(positions) == 0 {
			return remove("")
		}
		for _, position := range positions {
			if err := remove(" AND position = ?", int64(position)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return erased, err
	}
	return erased, l.emptyWAL(ctx)
}

// eraseAll erases the events of a source that have a subject.
func (l *fileLog) eraseAll(ctx context.Context, source, subject string) (erased int64, err error) {
	var after, end eventlog.Position
	err = l.use(ctx, func(r *reader) (err error) {
		after, end, err = r.ends()
		return err
	})
	for after--; err == nil && after < end; {
		var found []int64
		last := min(after+scanEvents, end)
		if found, err = l.positionsOf(ctx, source, subject, after, last); err != nil {
			break
		}
		if len(found) == eraseEvents {
			last = eventlog.Position(found[eraseEvents-1])
		}
		if err = l.erase(ctx, found); err == nil {
			erased += int64(len(found))
			after = last
		}
	}
	return erased, err
}

// positionsOf returns the positions of the first events to erase between two others.
func (l *fileLog) positionsOf(ctx context.Context, source, subject string, after, last eventlog.Position) (found []int64, err error) {
	err = l.use(ctx, func(r *reader) error {
		found = nil
		rows, err := r.QueryContext(ctx, `SELECT position FROM events WHERE position > ? AND position <= ? AND +source = ? AND subject = ?
			AND version <> -1 ORDER BY position LIMIT ?`, int64(after), int64(last), source, subject, eraseEvents)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var position int64
			if err := rows.Scan(&position); err != nil {
				return err
			}
			found = append(found, position)
		}
		return rows.Err()
	})
	return found, err
}

// erase erases the events at positions.
func (l *fileLog) erase(ctx context.Context, positions []int64) error {
	if len(positions) == 0 {
		return nil
	}
	return l.overwriting(ctx, func(conn *sql.Conn) error {
		for _, position := range positions {
			if _, err := conn.ExecContext(ctx, "UPDATE events SET "+erasedColumns+" WHERE position = ?", position); err != nil {
				return err
			}
			if _, err := conn.ExecContext(ctx, "INSERT OR IGNORE INTO erased VALUES (?)", position); err != nil {
				return err
			}
		}
		return nil
	})
}

// emptyWAL moves what the write-ahead log has into the file, and empties it, once no reader
// needs it.
func (l *fileLog) emptyWAL(ctx context.Context) error {
	conn, err := connect(ctx, l.changes)
	if err != nil {
		return callerError(err)
	}
	defer func() { _ = conn.Close() }()
	for deadline := time.Now().Add(maxWait); ; pause(ctx, 5*time.Millisecond) {
		var busy, frames, moved int
		if err := conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved); err != nil {
			return callerError(err)
		}
		switch {
		case busy == 0:
			return nil
		case ctx.Err() != nil:
			return eventlog.Ended(ctx)
		case time.Now().After(deadline):
			return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "it is erased, but the -wal still has it, because something has been reading the log all the time: erase again"}
		}
	}
}

var _ eventlog.EraseLog = (*fileLog)(nil)
