package query

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Table is a view whose rows are made of events that somebody else reads, without SQL.
type Table struct {
	View
	numbers map[string]int64 // of the versions
}

// OpenTable returns the table of a message type, which is named as its view is or in full,
// such as order_event or shop.v1.OrderEvent. Without a name it is the one of which the log
// has events, or that this program knows, if there is no other one.
func OpenTable(ctx context.Context, log eventlog.Log, name string) (*Table, error) {
	numbers := map[string]int64{"": 0}
	versions, err := versionsOf(ctx, log, numbers)
	if err != nil {
		return nil, err
	}
	tables, _ := makeTables(versions)
	var names []string
	for _, view := range tables {
		names = append(names, view.Name)
	}
	found := slices.IndexFunc(tables, func(view View) bool { return name == view.Name || name == view.Message })
	switch {
	case name != "" && found >= 0:
		return &Table{tables[found], numbers}, nil
	case name != "":
		return nil, fmt.Errorf("there is no message %s: there are %s", name, strings.Join(names, ", "))
	}
	used := slices.DeleteFunc(slices.Clone(tables), func(view View) bool {
		return !slices.ContainsFunc(versions, func(v namedVersion) bool { return slices.Contains(view.schemas, v.schema) })
	})
	if len(used) == 0 {
		used = tables
	}
	if len(used) == 1 {
		return &Table{used[0], numbers}, nil
	}
	if len(used) == 0 {
		return nil, errors.New("neither the log nor this program knows a type of message")
	}
	return nil, fmt.Errorf("the log has events of several messages, and this format has one in a file: choose one by --message: %s", strings.Join(names, ", "))
}

// Has reports whether an event is of the table's message, and not erased.
func (t *Table) Has(record *eventlog.Record) bool {
	return !record.Erased && slices.Contains(t.schemas, record.Schema)
}

// Row returns the values of an event, one for each column: nil, int64, float64, bool, string
// or []byte.
func (t *Table) Row(record *eventlog.Record) []any {
	row := make([]any, 0, len(t.Columns))
	row = append(row, int64(record.Position), record.Recorded.UTC().Format(timeFormat), record.Source, record.ID,
		record.Type, record.Subject, record.Time.UTC().Format(timeFormat))
	number, known := t.numbers[record.Version]
	if !known {
		number = -1
	}
	for _, field := range t.fields {
		row = append(row, field.value(number, record.Data))
	}
	return row
}

// Unread returns what could not be read in the rows so far, and is nil.
func (t *Table) Unread() []string { return unread([]View{t.View}) }
