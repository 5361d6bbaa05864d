package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// A page is what Read has in memory at a time. It ends with the first event that
// makes it reach either limit.
const (
	pageEvents = 512
	pageBytes  = 1 << 20
)

// pollInterval is how soon a tail sees what another process has appended. What this
// process appends it sees at once.
const pollInterval = 50 * time.Millisecond

// Read implements [eventlog.Log]. It reads page by page, each in a transaction of
// its own: one that stayed open while the events are handled would keep SQLite from
// reusing its write-ahead log, which would grow without limit.
func (l *fileLog) Read(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		pages := pager{from: from}
		err := l.use(ctx, func(r *reader) (err error) {
			if _, pages.end, err = r.ends(); err == nil {
				pages.after, pages.since, err = r.begin(from)
			}
			return err
		})
		for wanted := true; err == nil && wanted && pages.after < pages.end; {
			if err = pages.read(ctx, l); err == nil && len(pages.page) == 0 {
				return
			}
			wanted, err = pages.yield(ctx, l, yield, err)
		}
		if err != nil {
			yield(eventlog.Record{}, err)
		}
	}
}

// Tail implements [eventlog.Log].
func (l *fileLog) Tail(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		pages := pager{from: from, end: math.MaxInt64}
		err := l.use(ctx, func(r *reader) (err error) {
			pages.after, pages.since, err = r.begin(from)
			return err
		})
		for wanted := true; err == nil && wanted; {
			more := l.growth.more() // before reading, so that nothing is missed
			err = pages.read(ctx, l)
			if err == nil && len(pages.page) == 0 {
				select {
				case <-more:
				case <-time.After(pollInterval):
				case <-ctx.Done():
				}
			}
			wanted, err = pages.yield(ctx, l, yield, err)
		}
		if err != nil {
			yield(eventlog.Record{}, err)
		}
	}
}

// pager is how far reading has got. While a page is yielded, and its events are parsed, the
// next one is read already, if there is one.
type pager struct {
	from       eventlog.From
	after, end eventlog.Position
	since      time.Time  // what was recorded before is skipped; zero: nothing
	page       [][]byte   // what selectRecords selected after the position, from the last read
	spare      [][]byte   // for the next page
	ahead      chan error // receives once spare has the next page; nil if nobody reads it
}

// read reads the next page.
func (p *pager) read(ctx context.Context, l *fileLog) (err error) {
	if p.ahead == nil {
		p.page, err = l.page(ctx, p.page, p.after, p.end)
	} else {
		err = <-p.ahead
		p.page, p.spare, p.ahead = p.spare, p.page, nil
	}
	if err == nil && len(p.page) > 0 && p.since.IsZero() {
		p.from.After, p.from.Since = p.after, time.Time{}
		p.from.LogDeleted(ctx, parsePosition(p.page[0]))
	}
	if err == nil && len(p.page) == pageEvents {
		ahead, after := make(chan error, 1), parsePosition(p.page[pageEvents-1])
		p.ahead = ahead
		go func() {
			var err error
			p.spare, err = l.page(ctx, p.spare, after, p.end)
			ahead <- err
		}()
	}
	return err
}

// page reads a page of events into a slice.
func (l *fileLog) page(ctx context.Context, into [][]byte, after, end eventlog.Position) (page [][]byte, err error) {
	err = l.use(ctx, func(r *reader) (err error) {
		page, err = r.page(into[:0], after, end)
		return err
	})
	return page, err
}

// yield yields the events of the page, while they are wanted and ctx has not ended. If
// there is an error already it returns that.
func (p *pager) yield(ctx context.Context, l *fileLog, yield func(eventlog.Record, error) bool, err error) (wanted bool, _ error) {
	if err != nil {
		return true, err
	}
	for i, selected := range p.page {
		p.page[i] = nil // whoever reads the event has it now
		record, err := l.record(ctx, selected)
		if err != nil {
			return true, err
		}
		p.after = record.Position
		if !p.since.IsZero() && record.Recorded.Before(p.since) {
			continue
		}
		p.since = time.Time{}
		if ctx.Err() != nil {
			return true, eventlog.Ended(ctx)
		}
		if !yield(record, nil) {
			return false, nil
		}
	}
	if ctx.Err() != nil {
		return true, eventlog.Ended(ctx)
	}
	return true, nil
}

// record parses an event that was selected, and finds its version.
func (l *fileLog) record(ctx context.Context, selected []byte) (record eventlog.Record, err error) {
	if record, err = parseRecord(selected); err != nil {
		return record, &eventlog.Error{Kind: eventlog.ErrUnavailable, Cause: fmt.Errorf("the event at position %d: %w", parsePosition(selected), err)}
	}
	if l.readers.schemas.setVersion(&record) {
		return record, nil
	}
	return record, l.use(ctx, func(r *reader) error { return r.findVersion(ctx, &record) })
}

// readers is a pool of connections for reading, with their statements prepared.
type readers struct {
	pool    *sql.DB
	inUse   chan struct{} // has an element for each reader in use
	idle    chan *reader  // has room for all
	closing chan struct{} // closed when none is given out any longer
	schemas keptSchemas
}

// maxReaders is how many pages may be read at once; each keeps a core busy.
const maxReaders = 8

func newReaders(path string) *readers {
	return &readers{
		pool:    newPool(path, "mode=ro", "_pragma=busy_timeout(5000)", "_pragma=query_only(1)"),
		inUse:   make(chan struct{}, maxReaders),
		idle:    make(chan *reader, maxReaders),
		closing: make(chan struct{}),
	}
}

// close waits for those in use, and closes all.
func (r *readers) close() error {
	close(r.closing)
	for range maxReaders {
		r.inUse <- struct{}{}
	}
	close(r.idle)
	for reader := range r.idle {
		reader.close()
	}
	return r.pool.Close()
}

// unlessClosed returns err, or that the log is closed, which comes first.
func (l *fileLog) unlessClosed(err error) error {
	select {
	case <-l.readers.closing:
		return &eventlog.Error{Kind: eventlog.ErrClosed}
	default:
		return err
	}
}

// use calls read with a connection for reading.
func (l *fileLog) use(ctx context.Context, read func(*reader) error) error {
	if err := l.unlessClosed(nil); err != nil {
		return err
	}
	select {
	case l.readers.inUse <- struct{}{}:
	case <-l.readers.closing:
		return &eventlog.Error{Kind: eventlog.ErrClosed}
	case <-ctx.Done():
		return eventlog.Ended(ctx)
	}
	defer func() { <-l.readers.inUse }()
	var reader *reader
	var err error
	select {
	case reader = <-l.readers.idle:
	default:
		reader, err = newReader(ctx, l.readers)
	}
	if err == nil {
		err = read(reader)
		if isBroken(err) {
			reader.close()
		} else {
			l.readers.idle <- reader
		}
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return eventlog.Ended(ctx)
	default:
		return &eventlog.Error{Kind: eventlog.ErrUnavailable, Cause: err}
	}
}

// reader is a connection for reading. It uses the driver's statements directly: what
// database/sql does for each value would take most of the time.
type reader struct {
	*sql.Conn
	schemas             *keptSchemas
	pages, limits, next statement
	row                 [2]driver.Value
}

func newReader(ctx context.Context, of *readers) (*reader, error) {
	conn, err := of.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	r := &reader{Conn: conn, schemas: &of.schemas}
	err = prepareAll(conn, func(prepare prepareFunc) error {
		return errors.Join(
			prepare(&r.pages, selectRecords+` WHERE position > ? AND position <= ? ORDER BY position LIMIT ?`),
			prepare(&r.limits, `SELECT ifnull((SELECT min(position) FROM events), 0), ifnull((SELECT max(position) FROM events), 0)`),
			prepare(&r.next, `SELECT position, recorded FROM events WHERE position >= ? ORDER BY position LIMIT 1`),
		)
	})
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *reader) close() { discard(r.Conn, r.pages, r.limits, r.next) }

// rows calls each with the rows of a result, until it has enough or fails.
func (r *reader) rows(statement statement, each func(row []driver.Value) (more bool, err error), arguments ...int64) error {
	return r.Raw(func(any) (err error) {
		values := make([]driver.NamedValue, len(arguments))
		for i, argument := range arguments {
			values[i] = driver.NamedValue{Ordinal: i + 1, Value: argument}
		}
		rows, err := statement.QueryContext(context.Background(), values)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		row := r.row[:len(rows.Columns())]
		for {
			switch err := rows.Next(row); err {
			case nil:
			case io.EOF:
				return nil
			default:
				return err
			}
			if more, err := each(row); !more || err != nil {
				return err
			}
		}
	})
}

// page adds the events after one position, up to another, to a page.
func (r *reader) page(page [][]byte, after, end eventlog.Position) ([][]byte, error) {
	bytes := 0
	err := r.rows(r.pages, func(row []driver.Value) (bool, error) {
		selected := row[0].([]byte)
		page = append(page, selected)
		bytes += len(selected)
		return bytes < pageBytes, nil
	}, int64(after), int64(end), pageEvents)
	return page, err
}

// ends returns the positions of the first and the last event, 0 if there is none.
func (r *reader) ends() (first, last eventlog.Position, err error) {
	err = r.rows(r.limits, func(row []driver.Value) (bool, error) {
		first, last = eventlog.Position(row[0].(int64)), eventlog.Position(row[1].(int64))
		return true, nil
	})
	return first, last, err
}

// begin returns after which position to begin, and what to skip there. It finds a
// time by halving, because events are recorded in the order of their positions;
// where the clock was set back, it begins somewhere among the events of that time.
func (r *reader) begin(from eventlog.From) (after eventlog.Position, since time.Time, err error) {
	if from.Since.IsZero() {
		return from.After, time.Time{}, nil
	}
	low, high, err := r.ends()
	for high++; err == nil && low < high; { // the event is at low or after it, and before high or at it
		middle := low + (high-low)/2
		position, recorded := high, time.Time{}
		err = r.rows(r.next, func(row []driver.Value) (_ bool, err error) {
			position = eventlog.Position(row[0].(int64))
			recorded, err = parseTime(row[1].(string))
			return false, err
		}, int64(middle))
		switch {
		case position < high && recorded.Before(from.Since):
			low = position + 1
		default:
			high = middle
		}
	}
	return low - 1, from.Since, err
}
