package eventlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"
)

// A page is what Read holds in memory at a time. It ends at the first event
// that makes it exceed either bound.
const (
	pageEvents = 512
	pageBytes  = 1 << 20
)

// Read implements [Log]. It reads page by page, each in a transaction of its
// own: one that stayed open while the events are handled would keep SQLite
// from reusing its write-ahead log, which then grows without bound.
func (l *sqliteLog) Read(ctx context.Context, after Position) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		end, err := l.end(ctx)
		for err == nil && after < end {
			var page []Record
			if page, err = l.page(ctx, after, end); len(page) == 0 {
				break
			}
			for _, record := range page {
				if err := ctx.Err(); err != nil {
					yield(Record{}, ended(ctx))
					return
				}
				if !yield(record, nil) {
					return
				}
			}
			after = page[len(page)-1].Position
		}
		if err != nil {
			yield(Record{}, err)
		}
	}
}

// end is the greatest position in the log.
func (l *sqliteLog) end(ctx context.Context) (end Position, err error) {
	err = l.query(ctx, func(rows *sql.Rows) (bool, error) {
		return true, rows.Scan(&end)
	}, "SELECT ifnull(max(position), 0) FROM events")
	return end, err
}

// page reads the events behind one position up to another.
func (l *sqliteLog) page(ctx context.Context, after, end Position) (page []Record, err error) {
	bytes := 0
	err = l.query(ctx, func(rows *sql.Rows) (bool, error) {
		record, err := scanRecord(rows)
		if err != nil {
			return false, err
		}
		page = append(page, record)
		bytes += size(&record.Event)
		return bytes < pageBytes, nil
	}, `SELECT position, source, id, type, subject, time, recorded, schema, data
		FROM events WHERE position > ? AND position <= ? ORDER BY position LIMIT ?`, after, end, pageEvents)
	if err != nil {
		return nil, err
	}
	return page, nil
}

// query hands the rows of an answer to scan, until that wants no more.
func (l *sqliteLog) query(ctx context.Context, scan func(*sql.Rows) (more bool, err error), query string, args ...any) error {
	l.reading.RLock()
	defer l.reading.RUnlock()
	if l.closed {
		return &Error{Kind: ErrClosed}
	}
	rows, err := l.readers.QueryContext(ctx, query, args...)
	if err == nil {
		defer func() { _ = rows.Close() }()
		for more := true; more && err == nil && rows.Next(); {
			more, err = scan(rows)
		}
		err = errors.Join(err, rows.Err())
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ended(ctx)
	default:
		return &Error{Kind: ErrUnavailable, Cause: err}
	}
}

func scanRecord(rows *sql.Rows) (record Record, err error) {
	var happened, recorded string
	if err := rows.Scan(&record.Position, &record.Source, &record.ID, &record.Type, &record.Subject,
		&happened, &recorded, &record.Schema, &record.Data); err != nil {
		return Record{}, err
	}
	if record.Time, err = time.Parse(sqliteTime, happened); err != nil {
		return Record{}, fmt.Errorf("the time of position %d: %w", record.Position, err)
	}
	if record.Recorded, err = time.Parse(sqliteTime, recorded); err != nil {
		return Record{}, fmt.Errorf("the recording time of position %d: %w", record.Position, err)
	}
	return record, nil
}
