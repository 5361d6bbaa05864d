// Package parquet gives the subcommand "events export" of a server the format parquet, once
// a program imports it. It is a package of its own because of the library that it needs.
//
// A file has the columns that the views of "events sql" have, with the types of Parquet:
// integers, numbers, texts and bytes as what they are, times to the microsecond, enums by
// their names, lists and maps as such, and nested messages as groups of columns. What has no
// such type is in JSON: a Struct and the like, messages that have themselves within, and
// what former versions had as something else.
package parquet

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/parquet-go/parquet-go"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate/query"
)

func init() { operate.RegisterFormat("parquet", write) }

// groupRows is how many events are in memory before they are written, as a group of rows.
const groupRows = 1 << 16

// write is the format parquet.
func write(ctx context.Context, to io.Writer, log eventlog.Log, message string, events iter.Seq2[eventlog.Record, error]) (count int, err error) {
	table, err := query.OpenTable(ctx, log, message)
	if err != nil {
		return 0, err
	}
	fields, schema, columns := columnsOf(table)
	writer := parquet.NewWriter(to, parquet.NewSchema(table.Name, schema), parquet.Compression(&parquet.Zstd),
		parquet.MaxRowsPerRowGroup(groupRows), parquet.KeyValueMetadata("message", table.Message))
	row := row{columns: make([][]parquet.Value, columns)}
	for record, err := range events {
		if err != nil {
			return count, err
		}
		if !table.Has(&record) {
			continue
		}
		row.fill(table, &record, fields)
		if _, err := writer.WriteRows([]parquet.Row{row.values()}); err != nil {
			return count, err
		}
		count++
	}
	if row.unread > 0 {
		fmt.Fprintf(os.Stderr, "%d values could not be read and are NULL, such as %v\n", row.unread, row.first)
	}
	return count, writer.Close()
}

// columnsOf returns the fields of a table, the schema of its file, and how many columns
// that has.
func columnsOf(table *query.Table) (fields []*field, schema group, columns int) {
	columns = query.Attributes
	for i, column := range table.Columns {
		known := table.Field(i)
		if known == nil {
			schema.add(column.Name, attributeNode(column))
			continue
		}
		field := newField(column.Name, known, nil, false)
		columns = field.place(columns)
		schema.add(column.Name, field.node())
		fields = append(fields, field)
	}
	return fields, schema, columns
}

// attributeNode returns the type of an attribute, which each event has.
func attributeNode(column query.Column) parquet.Node {
	switch {
	case column.Type == "INTEGER":
		return parquet.Int(64)
	case column.About == "time":
		return parquet.Timestamp(parquet.Microsecond)
	default:
		return parquet.String()
	}
}

// fill sets the row to that of an event.
func (r *row) fill(table *query.Table, record *eventlog.Record, fields []*field) {
	for i := range r.columns {
		r.columns[i] = r.columns[i][:0]
	}
	for i, value := range []parquet.Value{
		parquet.Int64Value(int64(record.Position)), parquet.Int64Value(record.Recorded.UnixMicro()), parquet.ValueOf(record.Source),
		parquet.ValueOf(record.ID), parquet.ValueOf(record.Type), parquet.ValueOf(record.Subject), parquet.Int64Value(record.Time.UnixMicro()),
	} {
		r.columns[i] = append(r.columns[i], value.Level(0, 0, i))
	}
	message, err := table.Decode(record)
	if err != nil {
		r.failed(fmt.Errorf("the event at position %d: %w", record.Position, err))
	}
	for _, field := range fields {
		if err != nil {
			r.null(field, levels{})
		} else {
			r.field(field, message, levels{})
		}
	}
}

// group is fields in their order. A Group of the library sorts them by name.
type group struct {
	parquet.Group
	names []string
}

func (g *group) add(name string, node parquet.Node) {
	if g.Group == nil {
		g.Group = parquet.Group{}
	}
	g.Group[name], g.names = node, append(g.names, name)
}

// Fields implements [parquet.Node].
func (g group) Fields() (fields []parquet.Field) {
	for _, name := range g.names {
		fields = append(fields, parquet.Group{name: g.Group[name]}.Fields()[0])
	}
	return fields
}
