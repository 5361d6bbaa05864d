package sqlite

import (
	"context"
	"database/sql"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// limits says how much a log keeps. Its zero value means everything.
type limits struct {
	age   time.Duration // since recording; 0: any
	bytes int64         // of the file that the events use; 0: any
}

const (
	// trimInterval is how long an event may be kept beyond its time.
	trimInterval = time.Second
	// One transaction deletes no more than this, because appends wait for it.
	trimEvents = 200
	trimBytes  = 8 << 20
)

// trimmer deletes the oldest events, which a log no longer keeps. Their space in
// the file is used for later ones.
type trimmer struct {
	log       *fileLog
	retention limits
	cancel    context.CancelFunc
	stopped   chan struct{}

	mu     sync.Mutex
	clock  *clock
	dead   deadUsage
	report trimReport
}

func newTrimmer(log *fileLog, retention limits) *trimmer {
	return &trimmer{log: log, retention: retention, clock: newClock(), stopped: make(chan struct{})}
}

// start begins to trim. It returns once the clock is set.
func (t *trimmer) start(ctx context.Context) error {
	if t.retention.age > 0 {
		err := t.log.use(ctx, func(r *reader) error { return t.clock.open(ctx, r) })
		if err != nil {
			return err
		}
	}
	ctx, t.cancel = context.WithCancel(context.Background())
	go t.run(ctx)
	return nil
}

func (t *trimmer) stop() {
	t.cancel()
	<-t.stopped
}

func (t *trimmer) run(ctx context.Context) {
	defer close(t.stopped)
	defer t.logReport(true)
	for failing := false; ; {
		began := time.Now()
		more, err := t.trim(ctx)
		pause := max(trimInterval, 10*time.Since(began)) // what takes long is done less often
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			slog.WarnContext(ctx, "events that are no longer kept can't be deleted", "log", t.log.path, "error", err)
		case more: // and appends have their turn
			pause = time.Since(began)
		case err == nil:
			t.logReport(false)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// trim deletes some events, and returns whether there may be more. What it deletes are
// the first events of the log, without a gap.
func (t *trimmer) trim(ctx context.Context) (more bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var first, last int64
	var reading *jump
	err = t.log.use(ctx, func(r *reader) error {
		begin, end, err := r.ends()
		if err != nil {
			return err
		}
		if first = int64(begin); t.retention.age > 0 {
			reading = t.clock.tick(int64(end))
		}
		last, err = t.last(ctx, r, int64(end))
		return err
	})
	if err == nil && reading != nil {
		err = t.clock.store(ctx, t.log, reading, first)
	}
	if err != nil || last == 0 {
		return false, err
	}
	unhandled := map[string]int64{}
	err = t.log.change(ctx, func(conn *sql.Conn) error {
		if err := countUnhandled(ctx, conn, first, last, unhandled); err != nil {
			return err
		}
		_, err := conn.ExecContext(ctx, "DELETE FROM events WHERE position <= ?", last)
		return err
	})
	if err == nil {
		t.report.add(first, last, unhandled)
	}
	return true, err
}

// countUnhandled counts, by consumers, the events that are about to be deleted and that
// a consumer has not handled.
func countUnhandled(ctx context.Context, conn *sql.Conn, first, last int64, unhandled map[string]int64) error {
	clear(unhandled)
	rows, err := conn.QueryContext(ctx, "SELECT name, ? - max(place, ? - 1) FROM consumers WHERE place < ?", last, first, last)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		var count int64
		if err := rows.Scan(&name, &count); err != nil {
			return err
		}
		unhandled[name] = count
	}
	return rows.Err()
}

// trimReport collects what was deleted, to log it together.
type trimReport struct {
	first, last int64
	unhandled   map[string]int64
	logged      time.Time
}

// reportInterval is how often it is logged what was deleted.
const reportInterval = time.Minute

func (r *trimReport) add(first, last int64, unhandled map[string]int64) {
	if r.last == 0 {
		r.first, r.unhandled = first, map[string]int64{}
	}
	r.last = last
	for name, count := range unhandled {
		r.unhandled[name] += count
	}
}

// logReport logs what was deleted, unless it did a short time ago and this is not the
// end.
func (t *trimmer) logReport(end bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, path := &t.report, t.log.path
	if r.last == 0 || !end && time.Since(r.logged) < reportInterval {
		return
	}
	slog.Info("events were deleted that the log no longer keeps", "log", path, "count", r.last-r.first+1, "first", r.first, "last", r.last)
	for _, name := range slices.Sorted(maps.Keys(r.unhandled)) {
		slog.Warn("events were deleted that a consumer has not handled", "log", path, "consumer", name, "count", r.unhandled[name])
	}
	*r = trimReport{logged: time.Now()}
}

// last returns the position up to which to delete, 0 if there is nothing to delete.
// end is that of the last event.
func (t *trimmer) last(ctx context.Context, r *reader, end int64) (last int64, err error) {
	surplus, err := t.surplus(ctx, r)
	if err != nil || surplus == 0 && t.retention.age == 0 {
		return 0, err
	}
	limit, before := surplus, time.Time{}
	if surplus == 0 {
		limit, before = trimEvents, t.clock.reference(end).Add(-t.retention.age)
	}
	rows, err := r.QueryContext(ctx, "SELECT position, recorded, length(data) FROM events ORDER BY position LIMIT ?", limit)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	for bytes := int64(0); bytes < trimBytes && rows.Next(); {
		var position, size int64
		var recorded string
		if err := rows.Scan(&position, &recorded, &size); err != nil {
			return 0, err
		}
		if surplus == 0 { // an event that is kept keeps those after it, however old they seem
			if at, err := t.clock.when(position, recorded); err != nil || !at.Before(before) {
				return last, err
			}
		}
		last, bytes = position, bytes+size
	}
	return last, rows.Err()
}

// surplus returns how many events to delete because of the space that all use.
func (t *trimmer) surplus(ctx context.Context, r *reader) (events int64, err error) {
	if t.retention.bytes == 0 {
		return 0, nil
	}
	bytes, err := bytesInUse(ctx, r.Conn)
	if err != nil || bytes <= t.retention.bytes {
		return 0, err
	}
	dead, err := t.dead.bytes(ctx, r)
	if bytes -= dead; err != nil || bytes <= t.retention.bytes {
		return 0, err
	}
	first, last, err := r.ends()
	if err != nil || last == 0 {
		return 0, err
	}
	each := max(1, bytes/int64(last-first+1))
	return min(trimEvents, (bytes-t.retention.bytes)/each+1), nil
}

// deadUsage knows how much of the file the dead letters use. To find that out reads
// all of their pages, so it is done only if they are not the same as the last time.
type deadUsage struct {
	which [3]float64
	used  int64
}

func (d *deadUsage) bytes(ctx context.Context, r *reader) (int64, error) {
	var which [3]float64
	err := r.QueryRowContext(ctx, "SELECT count(*), total(position), total(rowid) FROM dead_letters").Scan(&which[0], &which[1], &which[2])
	if err != nil || which == d.which {
		return d.used, err
	}
	var used int64
	err = r.QueryRowContext(ctx, `SELECT ifnull(sum(pgsize), 0) FROM dbstat
		WHERE aggregate = TRUE AND name IN (SELECT name FROM sqlite_schema WHERE tbl_name = 'dead_letters')`).Scan(&used)
	if err != nil {
		return 0, err
	}
	d.which, d.used = which, used
	return used, nil
}
