// Package parquet gives the subcommand "events export" of a server the format parquet, once
// a program imports it. It is a package of its own because of the library that it needs.
//
// A file has the columns that the views of "events sql" have: integers, numbers, texts and
// bytes as what they are, times to the microsecond, enums by their names, and nested
// messages, lists and maps in JSON.
package parquet

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"strconv"
	"time"

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
	schema := newGroup(table.Columns)
	columns := schema.columns
	writer := parquet.NewWriter(to, parquet.NewSchema(table.Name, schema), parquet.Compression(&parquet.Zstd),
		parquet.MaxRowsPerRowGroup(groupRows), parquet.KeyValueMetadata("message", table.Message))
	row := make(parquet.Row, len(columns))
	for record, err := range events {
		if err != nil {
			return count, err
		}
		if !table.Has(&record) {
			continue
		}
		for i, value := range table.Row(&record) {
			row[i] = parquet.NullValue().Level(0, 0, i)
			if value == nil {
				continue
			}
			converted, err := columns[i].value(value)
			if err != nil {
				return count, fmt.Errorf("the event at position %d, column %s: %w", record.Position, columns[i].name, err)
			}
			defined := 0
			if columns[i].Optional() {
				defined = 1
			}
			row[i] = converted.Level(0, defined, i)
		}
		if _, err := writer.WriteRows([]parquet.Row{row}); err != nil {
			return count, err
		}
		count++
	}
	for _, sentence := range table.Unread() {
		fmt.Fprintln(os.Stderr, sentence)
	}
	return count, writer.Close()
}

// column is a column of a file, and how a value of a view becomes one of it.
type column struct {
	parquet.Field
	name  string
	value func(any) (parquet.Value, error)
}

// Name implements [parquet.Field].
func (c column) Name() string { return c.name }

// group is the columns of a file in their order. A Group of the library sorts them by name.
type group struct {
	parquet.Group
	columns []column
}

// Fields implements [parquet.Node].
func (g group) Fields() []parquet.Field {
	fields := make([]parquet.Field, len(g.columns))
	for i, column := range g.columns {
		fields[i] = column
	}
	return fields
}

func newGroup(of []query.Column) group {
	all := group{Group: parquet.Group{}}
	for i, view := range of {
		node, value := newColumn(view)
		if i >= query.Attributes {
			node = parquet.Optional(node)
		}
		all.Group[view.Name] = node
		all.columns = append(all.columns, column{parquet.Group{view.Name: node}.Fields()[0], view.Name, value})
	}
	return all
}

// newColumn returns the type of a column, and the function that makes its values.
func newColumn(of query.Column) (parquet.Node, func(any) (parquet.Value, error)) {
	switch {
	case of.Type == "INTEGER" && (of.About == "bool" || of.About == "google.protobuf.BoolValue"):
		return parquet.Leaf(parquet.BooleanType), func(value any) (parquet.Value, error) {
			is, ok := value.(bool)
			return parquet.BooleanValue(is), mismatch(ok, value)
		}
	case of.Type == "INTEGER" && (of.About == "uint64" || of.About == "google.protobuf.UInt64Value"):
		return parquet.Uint(64), func(value any) (parquet.Value, error) {
			number, err := strconv.ParseUint(query.Text(value), 10, 64)
			return parquet.Int64Value(int64(number)), err
		}
	case of.Type == "INTEGER":
		return parquet.Int(64), func(value any) (parquet.Value, error) {
			number, ok := value.(int64)
			return parquet.Int64Value(number), mismatch(ok, value)
		}
	case of.Type == "REAL":
		return parquet.Leaf(parquet.DoubleType), func(value any) (parquet.Value, error) {
			if value == "NaN" {
				value = math.NaN()
			}
			number, ok := value.(float64)
			return parquet.DoubleValue(number), mismatch(ok, value)
		}
	case of.Type == "BLOB":
		return parquet.Leaf(parquet.ByteArrayType), func(value any) (parquet.Value, error) {
			bytes, ok := value.([]byte)
			return parquet.ByteArrayValue(bytes), mismatch(ok, value)
		}
	case of.Type == "TEXT" && (of.About == "time" || of.About == "google.protobuf.Timestamp"):
		return parquet.Timestamp(parquet.Microsecond), func(value any) (parquet.Value, error) {
			at, err := time.Parse(time.RFC3339, query.Text(value))
			return parquet.Int64Value(at.UnixMicro()), err
		}
	case of.Type == "JSON":
		return parquet.JSON(), text
	default:
		return parquet.String(), text
	}
}

func text(value any) (parquet.Value, error) {
	return parquet.ByteArrayValue([]byte(query.Text(value))), nil
}

// mismatch returns an error for a value that is not of the type of its column.
func mismatch(ok bool, value any) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%v is not of the type of the column", value)
}
