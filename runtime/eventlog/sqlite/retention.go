package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// limits says how much a log keeps. Its zero value means everything.
type limits struct {
	age   time.Duration // since recording; 0: any
	bytes int64         // of the file that the events use; 0: any
}

// parseRetention reads the parameters of a URL: max-age=720h, max-bytes=10GB.
func parseRetention(parameters string) (retention limits, err error) {
	values, err := url.ParseQuery(parameters)
	if err != nil {
		return retention, fmt.Errorf("the parameters after the ? can't be read: %w", err)
	}
	for name := range values {
		switch value := values.Get(name); name {
		case "max-age":
			if retention.age, err = time.ParseDuration(value); err != nil || retention.age <= 0 {
				return retention, fmt.Errorf("max-age=%s: want a duration, such as 720h", value)
			}
		case "max-bytes":
			if retention.bytes, err = eventlog.ParseBytes(value); err != nil || retention.bytes <= 0 {
				return retention, fmt.Errorf("max-bytes=%s: want a number of bytes, such as 10GB", value)
			}
		default:
			return retention, fmt.Errorf("there is no parameter %q, only max-age and max-bytes", name)
		}
	}
	return retention, nil
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
	dead      deadUsage
	cancel    context.CancelFunc
	stopped   chan struct{}
}

func startTrimmer(log *fileLog, retention limits) *trimmer {
	ctx, cancel := context.WithCancel(context.Background())
	t := &trimmer{log: log, retention: retention, cancel: cancel, stopped: make(chan struct{})}
	go t.run(ctx)
	return t
}

func (t *trimmer) stop() {
	t.cancel()
	<-t.stopped
}

func (t *trimmer) run(ctx context.Context) {
	defer close(t.stopped)
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
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// trim deletes some events, and returns whether there may be more.
func (t *trimmer) trim(ctx context.Context) (more bool, err error) {
	var last int64
	err = t.log.use(ctx, func(r *reader) (err error) {
		last, err = t.last(ctx, r)
		return err
	})
	if err != nil || last == 0 {
		return false, err
	}
	return true, t.log.change(ctx, func(conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, "DELETE FROM events WHERE position <= ?", last)
		return err
	})
}

// last returns the position up to which to delete, 0 if there is nothing to delete.
func (t *trimmer) last(ctx context.Context, r *reader) (last int64, err error) {
	limit, err := t.surplus(ctx, r)
	before := "9999" // whenever they were recorded
	if limit == 0 && t.retention.age > 0 {
		limit, before = trimEvents, formatTime(time.Now().Add(-t.retention.age))
	}
	if err != nil || limit == 0 {
		return 0, err
	}
	err = r.QueryRowContext(ctx, `SELECT ifnull(max(position), 0) FROM
		(SELECT position, recorded, sum(length(data)) OVER (ORDER BY position) - length(data) AS bytes
			FROM (SELECT position, recorded, data FROM events ORDER BY position LIMIT ?))
		WHERE recorded < ? AND bytes < ?`, limit, before, trimBytes).Scan(&last)
	return last, err
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
