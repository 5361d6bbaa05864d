package sqlite

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// The columns of an event, besides its position and when it was recorded. Every
// statement lists them in this order; the migrations create them.
const (
	sourceColumn = iota
	idColumn
	typeColumn
	subjectColumn
	timeColumn
	schemaColumn
	traceColumn
	versionColumn // an integer, and in what is read a text of it until its version is found
	dataColumn
	columnCount
)

var columns = [columnCount]string{
	sourceColumn: "source", idColumn: "id", typeColumn: "type", subjectColumn: "subject",
	timeColumn: "time", schemaColumn: "schema", traceColumn: "traceparent", versionColumn: "version", dataColumn: "data",
}

// An event that is erased has this in place of the number of its schema.
const (
	erasedVersion = -1
	erasedNumber  = "-1"
)

// columnList is the columns as a statement lists them.
var columnList = strings.Join(columns[:], ", ")

// textList is the columns that are read as text: all but the last.
var textList = strings.Join(columns[:dataColumn], ", ")

// eventRow is the values of an event's columns. The time is nil for an event that
// happens when it is recorded.
type eventRow [columnCount]driver.Value

// newEventRow returns the row of an event, with its data copied into a buffer.
func newEventRow(event *eventlog.Event, buffer []byte) (row eventRow) {
	row = eventRow{
		sourceColumn: event.Source, idColumn: event.ID, typeColumn: event.Type, subjectColumn: event.Subject,
		schemaColumn: event.Schema, traceColumn: event.Traceparent, versionColumn: int64(0),
	}
	if !event.Time.IsZero() {
		row[timeColumn] = formatTime(event.Time)
	}
	buffer = append(buffer, event.Data...)
	if buffer == nil {
		buffer = []byte{} // nil would be NULL
	}
	row[dataColumn] = buffer
	return row
}

// size returns what [eventlog.Event.Size] does for the event of a row.
func (r *eventRow) size() int {
	text := func(column int) string { text, _ := r[column].(string); return text }
	data, _ := r[dataColumn].([]byte)
	event := eventlog.Event{ID: text(idColumn), Source: text(sourceColumn), Type: text(typeColumn), Subject: text(subjectColumn), Schema: text(schemaColumn), Data: data}
	return event.Size()
}

// parseTexts sets the texts of a record from one text: when it was recorded, and
// the columns of textList, with NUL, which no text has, between them.
func parseTexts(record *eventlog.Record, texts string) (err error) {
	next := func() (text string) {
		text, texts, _ = strings.Cut(texts, "\x00")
		return text
	}
	if record.Recorded, err = parseTime(next()); err != nil {
		return err
	}
	for column := range dataColumn {
		switch text := next(); column {
		case sourceColumn:
			record.Source = text
		case idColumn:
			record.ID = text
		case typeColumn:
			record.Type = text
		case subjectColumn:
			record.Subject = text
		case timeColumn:
			record.Time, err = parseTime(text)
		case schemaColumn:
			record.Schema = text
		case traceColumn:
			record.Traceparent = text
		case versionColumn:
			record.Version, record.Erased = text, text == erasedNumber
		}
	}
	return err
}

// letterColumns lists the columns of a dead letter, those of its event last.
var letterColumns = "consumer, position, recorded, tries, reason, buried, retrying, " + columnList

// insertLetter is the statement that stores a letter. It finds the number of the schema,
// which is the last column but one, by its version.
var insertLetter = "INSERT OR REPLACE INTO dead_letters (" + letterColumns + ") VALUES (" + strings.Repeat("?, ", 7+versionColumn) +
	"ifnull((SELECT number FROM schemas WHERE version = ?), 0), ?)"

// letterValues returns the values of letterColumns for a letter that waits for no
// retry, as insertLetter takes them.
func letterValues(consumer string, letter *eventlog.DeadLetter) []any {
	values := []any{consumer, int64(letter.Position), formatTime(letter.Recorded), letter.Tries,
		eventlog.CutReason(letter.Reason), formatTime(letter.GaveUp), 0}
	row := newEventRow(&letter.Event, nil)
	row[timeColumn], row[versionColumn] = formatTime(letter.Time), letter.Version
	for _, value := range row {
		values = append(values, value)
	}
	return values
}

// scanLetter reads letterColumns. The letter's version is the number of its schema.
func scanLetter(rows *sql.Rows) (letter eventlog.DeadLetter, err error) {
	var happened, recorded, gaveUp string
	event := [columnCount]any{
		sourceColumn: &letter.Source, idColumn: &letter.ID, typeColumn: &letter.Type, subjectColumn: &letter.Subject,
		timeColumn: &happened, schemaColumn: &letter.Schema, traceColumn: &letter.Traceparent, versionColumn: &letter.Version, dataColumn: &letter.Data,
	}
	err = rows.Scan(append([]any{&letter.Consumer, &letter.Position, &recorded, &letter.Tries, &letter.Reason, &gaveUp, &letter.Retrying}, event[:]...)...)
	if err != nil {
		return eventlog.DeadLetter{}, err
	}
	for _, t := range []struct {
		time *time.Time
		text string
	}{{&letter.Time, happened}, {&letter.Recorded, recorded}, {&letter.GaveUp, gaveUp}} {
		if *t.time, err = parseTime(t.text); err != nil {
			return eventlog.DeadLetter{}, fmt.Errorf("the dead letter of %q at position %d: %w", letter.Consumer, letter.Position, err)
		}
	}
	return letter, nil
}

// timeFormat is the format of the times in the table: of fixed width, so that
// their order as text is their order in time.
const timeFormat = "2006-01-02T15:04:05.000000000Z"

// formatTime returns a time as the table has it.
func formatTime(t time.Time) string { return t.UTC().Format(timeFormat) }

// parseTime does what [time.Parse] does for the one format that the table has, in
// a fraction of the time.
func parseTime(text string) (time.Time, error) {
	valid := len(text) == len(timeFormat)
	number := func(from, to int) (n int) {
		if !valid {
			return 0
		}
		for _, c := range []byte(text[from:to]) {
			valid = valid && c >= '0' && c <= '9'
			n = 10*n + int(c-'0')
		}
		return n
	}
	year, month, day := number(0, 4), number(5, 7), number(8, 10)
	hour, minute, second, nanosecond := number(11, 13), number(14, 16), number(17, 19), number(20, 29)
	if !valid {
		return time.Time{}, fmt.Errorf("%q is not a time such as %s", text, timeFormat)
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, nanosecond, time.UTC), nil
}
