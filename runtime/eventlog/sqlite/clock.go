package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"sort"
	"time"
)

// clock measures how old events are. The wall clock, by which they are recorded, may
// be wrong, and jumps when that is mended. So while a log is open its clock goes on as
// time passes, whatever becomes of the wall clock; only for the time in which the log
// is closed there is no other witness. What the wall clock is ahead of it is stored
// with the position at which that changed, and subtracted from what was recorded from
// then on.
type clock struct {
	wall    func() time.Time     // tests replace this and the next
	elapsed func() time.Duration // since some moment
	now     time.Time            // when it was last read
	read    time.Duration        // elapsed, when it was last read
	jumps   []jump               // by their positions
	saved   time.Time            // when the last of them was stored
	old     bound                // what was recorded before the log was opened
}

// jump is a reading of the clock: when the log ended at a position.
type jump struct {
	position int64
	time     time.Time
	ahead    time.Duration // of the wall clock from then on
}

// bound is how far the clock is trusted as long as nothing was recorded since the log
// was opened: the wall clock may have jumped while it was closed.
type bound struct {
	last   int64 // the position
	newest time.Time
	opened time.Duration
}

const (
	// A wall clock that is set by less than this has not jumped.
	leastJump = time.Minute
	// saveInterval is how much of the time that has passed may be forgotten when a
	// process is killed, if the wall clock has jumped before.
	saveInterval = time.Hour
)

func newClock() *clock {
	began := time.Now()
	return &clock{wall: time.Now, elapsed: func() time.Duration { return time.Since(began) }}
}

// open sets the clock, when a log was opened.
func (c *clock) open(ctx context.Context, r *reader) error {
	rows, err := r.QueryContext(ctx, "SELECT position, time, ahead FROM clock ORDER BY position, time")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var jumps []jump
	for rows.Next() {
		var one jump
		var at string
		if err := rows.Scan(&one.position, &at, &one.ahead); err != nil {
			return err
		}
		if one.time, err = parseTime(at); err != nil {
			return fmt.Errorf("the clock at position %d: %w", one.position, err)
		}
		jumps = append(jumps, one)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	c.jumps, c.read = jumps, c.elapsed()
	// The wall clock may still be as wrong as it was, or may have been mended: what
	// makes events older is believed only if it is so in either case.
	c.now = c.wall().Add(-max(c.ahead(), 0))
	if n := len(jumps); n > 0 && jumps[n-1].time.After(c.now) {
		c.now = jumps[n-1].time
	}
	_, last, err := r.ends()
	if err != nil || last == 0 {
		return err
	}
	var recorded string
	if err := r.QueryRowContext(ctx, "SELECT recorded FROM events WHERE position = ?", int64(last)).Scan(&recorded); err != nil {
		return err
	}
	newest, err := c.when(int64(last), recorded)
	c.old = bound{last: int64(last), newest: newest, opened: c.read}
	return err
}

// ahead returns how much the wall clock was ahead when that was last stored.
func (c *clock) ahead() time.Duration {
	if len(c.jumps) == 0 {
		return 0
	}
	return c.jumps[len(c.jumps)-1].ahead
}

// tick reads the clock, and returns what is to be stored, if anything is. last is the
// position of the last event.
func (c *clock) tick(last int64) *jump {
	wall, elapsed := c.wall(), c.elapsed()
	if c.now.IsZero() {
		c.now, c.read = wall, elapsed
	}
	c.now, c.read = c.now.Add(elapsed-c.read), elapsed
	ahead := wall.Sub(c.now)
	jumped := (ahead - c.ahead()).Abs() >= leastJump
	if !jumped && (len(c.jumps) == 0 || c.now.Sub(c.saved) < saveInterval) {
		return nil
	}
	if !jumped {
		ahead = c.ahead()
	}
	return &jump{position: last, time: c.now, ahead: ahead}
}

// store stores what tick has returned, and removes what only concerned events that
// were deleted.
func (c *clock) store(ctx context.Context, log *fileLog, one *jump, first int64) error {
	err := log.change(ctx, func(conn *sql.Conn) error {
		if _, err := conn.ExecContext(ctx, "DELETE FROM clock WHERE position < (SELECT max(position) FROM clock WHERE position < ?)", first); err != nil {
			return err
		}
		_, err := conn.ExecContext(ctx, "INSERT INTO clock (position, time, ahead) VALUES (?, ?, ?)", one.position, formatTime(one.time), int64(one.ahead))
		return err
	})
	if err == nil {
		c.jumps, c.saved = append(c.jumps, *one), c.now
	}
	return err
}

// reference returns the time from which the age of events counts.
func (c *clock) reference(last int64) time.Time {
	if last > c.old.last {
		return c.now
	}
	if most := c.old.newest.Add(c.read - c.old.opened); most.Before(c.now) {
		return most
	}
	return c.now
}

// when returns when an event was recorded, by this clock.
func (c *clock) when(position int64, recorded string) (time.Time, error) {
	at, err := parseTime(recorded)
	if err != nil {
		return at, fmt.Errorf("the event at position %d: %w", position, err)
	}
	next := sort.Search(len(c.jumps), func(i int) bool { return c.jumps[i].position >= position })
	if next > 0 {
		before := c.jumps[next-1]
		if at = at.Add(-before.ahead); at.Before(before.time) {
			at = before.time
		}
	}
	if next < len(c.jumps) && c.jumps[next].time.Before(at) {
		at = c.jumps[next].time
	}
	return at, nil
}
