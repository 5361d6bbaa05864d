//runtime:with operate.Backup eventlog.FileLog eventlog.Restore eventlog.ImportLog eventlog.EraseLog

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// importStatement stores an event of another log.
var importStatement = "INSERT INTO events (position, recorded, " + columnList + ") VALUES (?, ?" + strings.Repeat(", ?", int(columnCount)) + ")"

// Import implements [eventlog.ImportLog].
func (l *fileLog) Import(ctx context.Context, after eventlog.Position, records []eventlog.Record) (positions []eventlog.Position, err error) {
	err = l.change(ctx, func(conn *sql.Conn) (err error) {
		positions, err = importRecords(ctx, conn, after, records)
		return err
	})
	if err != nil {
		return nil, err
	}
	l.growth.notify()
	return positions, nil
}

func importRecords(ctx context.Context, conn *sql.Conn, after eventlog.Position, records []eventlog.Record) ([]eventlog.Position, error) {
	var last eventlog.Position
	if err := conn.QueryRowContext(ctx, "SELECT ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)").Scan(&last); err != nil {
		return nil, err
	}
	if last != after {
		return nil, eventlog.NotLast(after, last)
	}
	insert, err := conn.PrepareContext(ctx, importStatement)
	if err != nil {
		return nil, err
	}
	defer func() { _ = insert.Close() }()
	positions := make([]eventlog.Position, len(records))
	schemas := importedSchemas{}
	for i := range records {
		record := &records[i]
		position := last + 1
		if last == 0 { // a log without gaps keeps its positions
			position = record.Position
		}
		number, err := schemas.number(ctx, conn, record, position)
		if err != nil {
			return nil, err
		}
		row := newEventRow(&record.Event, nil)
		row[timeColumn], row[versionColumn] = formatTime(record.Time), number
		values := append(make([]any, 0, 2+columnCount), int64(position), formatTime(record.Recorded))
		for _, value := range row {
			values = append(values, value)
		}
		_, err = insert.ExecContext(ctx, values...)
		if resultCode(err) == sqlite3.SQLITE_CONSTRAINT_UNIQUE {
			if err := isStored(ctx, conn, record); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if record.Erased {
			if _, err := conn.ExecContext(ctx, "INSERT OR IGNORE INTO erased VALUES (?)", int64(position)); err != nil {
				return nil, err
			}
		}
		positions[i], last = position, position
	}
	return positions, schemas.extend(ctx, conn)
}

// isStored returns nil if the event that has a record's source and id is the same.
func isStored(ctx context.Context, conn *sql.Conn, record *eventlog.Record) error {
	var stored eventlog.Record
	var version int64
	row := conn.QueryRowContext(ctx, "SELECT type, subject, schema, data, version FROM events WHERE source = ? AND id = ?", record.Source, record.ID)
	if err := row.Scan(&stored.Type, &stored.Subject, &stored.Schema, &stored.Data, &version); err != nil {
		return err
	}
	if stored.Erased = version == erasedVersion || record.Erased; !stored.Stores(&record.Event) {
		return eventlog.Conflict(&record.Event)
	}
	return nil
}

// importedSchemas are the numbers of versions of schemas, and the last position of an event
// with each.
type importedSchemas map[string]*struct {
	number int64
	last   eventlog.Position
}

// number returns the number of the schema of an event, and keeps the schema if it is a new
// one.
func (s importedSchemas) number(ctx context.Context, conn *sql.Conn, record *eventlog.Record, position eventlog.Position) (int64, error) {
	switch {
	case record.Erased:
		return erasedVersion, nil
	case record.Version == "":
		return 0, nil
	}
	if known := s[record.Version]; known != nil {
		known.last = position
		return known.number, nil
	}
	schema, found := eventlog.FindSchema(record.Version)
	if !found {
		return 0, fmt.Errorf("version %s of the schema of %s is not known", record.Version, record.Schema)
	}
	values, err := schemaValues(schema)
	if err != nil {
		return 0, err
	}
	if _, err := conn.ExecContext(ctx, insertSchema+" ON CONFLICT DO NOTHING", values[0], values[1], values[2], values[3]); err != nil {
		return 0, err
	}
	var number int64
	if err := conn.QueryRowContext(ctx, "SELECT number FROM schemas WHERE version = ?", record.Version).Scan(&number); err != nil {
		return 0, err
	}
	s[record.Version] = &struct {
		number int64
		last   eventlog.Position
	}{number, position}
	return number, nil
}

// extend records that the schemas have events up to these positions.
func (s importedSchemas) extend(ctx context.Context, conn *sql.Conn) (err error) {
	for _, schema := range s {
		_, failed := conn.ExecContext(ctx, "UPDATE schemas SET until = max(until, ?) WHERE number = ?", int64(schema.last), schema.number)
		err = errors.Join(err, failed)
	}
	return err
}

var _ eventlog.ImportLog = (*fileLog)(nil)
