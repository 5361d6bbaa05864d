// Package dialect has what differs between the databases that keep a position of a
// consumer, or the outbox of a sender: PostgreSQL, MySQL and MariaDB, SQLite.
package dialect

import (
	"fmt"
	"strings"
)

// Dialect is the SQL that a database speaks.
type Dialect string

// The dialects.
const (
	PostgreSQL Dialect = "PostgreSQL"
	MySQL      Dialect = "MySQL" // and MariaDB
	SQLite     Dialect = "SQLite"
)

// Quote returns a text as statements have it.
func (d Dialect) Quote(text string) string {
	if d == MySQL {
		text = strings.ReplaceAll(text, `\`, `\\`)
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}

// MoveConsumer returns the statement that has a consumer into a database begin after a
// position of the log that it consumes next. A process that runs the consumer notices it,
// because it no longer has the epoch that it has claimed.
func (d Dialect) MoveConsumer(consumer string, position int64) string {
	return fmt.Sprintf("UPDATE event_consumers SET position = %d, ahead = '', seen = '', log_id = NULL, epoch = epoch + 1 WHERE consumer = %s;", position, d.Quote(consumer))
}
