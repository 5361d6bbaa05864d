package query

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"

	"modernc.org/sqlite"
)

// A query would keep a core busy, and a server that appends to the log beside it can use all
// of them. The lowest priority is not enough: systems share the processor among sessions,
// services and containers first, in which a query is mostly another one than the server. So
// a query pauses while others append.
const (
	pauses      = 5                     // how much longer a query pauses than it works
	workAtOnce  = 2 * time.Millisecond  // how long it works between two pauses, at least
	longestWork = 50 * time.Millisecond // what it took longer, it waited for the processor
	glanceEvery = 50 * time.Millisecond // how often it looks whether others append
)

// pace pauses the queries of a DB.
type pace struct {
	now      func() time.Time
	sleep    func(time.Duration)
	appended func() bool // reports whether others have appended since the last call

	pausing bool
	begin   time.Time // of the work since the last pause
	glanced time.Time // when it last looked whether others append
}

// step is called between two rows.
func (p *pace) step() {
	now := p.now()
	worked := now.Sub(p.begin)
	if worked < workAtOnce {
		return
	}
	if now.Sub(p.glanced) >= glanceEvery {
		p.pausing, p.glanced = p.appended(), now
	}
	if p.pausing {
		p.sleep(pauses * min(worked, longestWork))
	}
	p.begin = p.now()
}

// start is called at the begin of a query.
func (p *pace) start() { p.begin = p.now() }

// Hurry makes the queries go on without pauses.
func (db *DB) Hurry() { db.pace = nil }

// pacing is what makes the rows of a view call event_pause. Not each: a call of a
// function takes as long as much of what else there is to do for a row.
const pacing = "(position & 15 OR event_pause(position))"

// eventPause is the function event_pause of SQL.
func (db *DB) eventPause(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
	if db.pace != nil {
		db.pace.step()
	}
	return int64(1), nil
}

// commits returns a function that reports whether there were commits since its last call,
// by a connection that is in no transaction.
func commits(watch *sql.DB) func() bool {
	var last int64
	return func() bool {
		var version int64
		err := watch.QueryRowContext(context.Background(), "PRAGMA data_version").Scan(&version)
		before := last
		last = version
		return err == nil && before != 0 && version != before
	}
}
