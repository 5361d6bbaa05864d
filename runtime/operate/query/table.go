package query

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Table is a view whose rows are made of events that somebody else reads, without SQL.
type Table struct {
	View
	message *message
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
	tables, messages := makeTables(versions)
	table := func(view View) *Table { return &Table{view, messages[view.schemas[0]], numbers} }
	var names []string
	for _, view := range tables {
		names = append(names, view.Name)
	}
	found := slices.IndexFunc(tables, func(view View) bool { return name == view.Name || name == view.Message })
	switch {
	case name != "" && found >= 0:
		return table(tables[found]), nil
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
		return table(used[0]), nil
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
	row := append(make([]any, 0, len(t.Columns)), t.Attributes(record)...)
	for _, field := range t.fields {
		row = append(row, field.value(t.number(record), record.Data))
	}
	return row
}

// Attributes returns the values of the first columns of an event, as Row does.
func (t *Table) Attributes(record *eventlog.Record) []any {
	return []any{int64(record.Position), record.Recorded.UTC().Format(timeFormat), record.Source, record.ID,
		record.Type, record.Subject, record.Time.UTC().Format(timeFormat)}
}

// number returns the number of the version that an event has.
func (t *Table) number(record *eventlog.Record) int64 {
	if number, known := t.numbers[record.Version]; known {
		return number
	}
	return -1
}

// Decode returns the message of an event, as the version of its schema has it, or else as
// this program knows it.
func (t *Table) Decode(record *eventlog.Record) (protoreflect.Message, error) {
	kind := t.message.current
	for _, version := range t.message.versions {
		if version.number != t.number(record) {
			continue
		}
		if version.unreadable != nil {
			return nil, version.unreadable
		}
		kind = version.message
	}
	message := dynamicpb.NewMessage(kind)
	return message, proto.UnmarshalOptions{AllowPartial: true}.Unmarshal(record.Data, message)
}

// Unread returns what could not be read in the rows so far, and is nil.
func (t *Table) Unread() []string { return unread([]View{t.View}) }
