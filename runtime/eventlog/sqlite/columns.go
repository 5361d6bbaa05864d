package sqlite

import (
	"bytes"
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

// selectRecords selects events, each as one value: position, recorded and columns, with NUL,
// which no text has, between them. Each value more would cost SQLite, the driver and the
// garbage collector more than this one does.
var selectRecords = "SELECT CAST(concat_ws(char(0), position, recorded, " + columnList + ") AS BLOB) FROM events"

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

// parsePosition parses only the position of an event that selectRecords selected.
func parsePosition(selected []byte) (position eventlog.Position) {
	for i := 0; i < len(selected) && selected[i] != 0; i++ {
		position = 10*position + eventlog.Position(selected[i]-'0')
	}
	return position
}

// parseRecord parses an event that selectRecords selected. Its version is a number still.
// Its data is part of what was selected.
func parseRecord(selected []byte) (record eventlog.Record, err error) {
	const before = 2 // the position and recorded
	var ends [before + dataColumn]int
	end := -1
	for i := range ends {
		length := bytes.IndexByte(selected[end+1:], 0)
		if length < 0 {
			return record, fmt.Errorf("it has %d columns, want %d", i+1, len(ends)+1)
		}
		end += 1 + length
		ends[i] = end
	}
	texts := string(selected[:end])
	text := func(column int) string { return texts[ends[before+column-1]+1 : ends[before+column]] }
	record = eventlog.Record{
		Event: eventlog.Event{
			ID: text(idColumn), Source: text(sourceColumn), Type: text(typeColumn), Subject: text(subjectColumn),
			Schema: text(schemaColumn), Version: text(versionColumn), Traceparent: text(traceColumn),
		},
		Position: parsePosition(selected),
		Erased:   text(versionColumn) == erasedNumber,
	}
	if data := selected[end+1:]; len(data) > 0 {
		record.Data = data
	}
	if record.Recorded, err = parseTime(text(-1)); err == nil {
		record.Time, err = parseTime(text(timeColumn))
	}
	return record, err
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

// formatTime returns a time as the table has it. It does what [time.Time.Format] does for
// that one format, in a fraction of the time.
func formatTime(t time.Time) string {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	text := []byte("0000-00-00T00:00:00.000000000Z")
	for _, number := range [...]struct{ last, value int }{
		{3, year}, {6, int(month)}, {9, day}, {12, hour}, {15, minute}, {18, second}, {28, t.Nanosecond()},
	} {
		for i, n := number.last, number.value; n > 0; i, n = i-1, n/10 {
			text[i] = byte('0' + n%10)
		}
	}
	return string(text)
}

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
