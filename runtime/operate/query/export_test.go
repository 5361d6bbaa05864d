package query

import "time"

// What tests compare with.
var (
	AppendField = appendField
	IsWhole     = isWhole

	FormatTimestamp = formatTimestamp
)

// SetClock replaces the clock by which queries pause.
func (db *DB) SetClock(now func() time.Time, sleep func(time.Duration)) {
	db.pace.now, db.pace.sleep = now, sleep
}
