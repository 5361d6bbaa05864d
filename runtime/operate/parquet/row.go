package parquet

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate/query"
)

// row is the values of an event.
type row struct {
	columns [][]parquet.Value // several in one of a list
	all     parquet.Row

	unread int   // how many values of all rows could not be read
	first  error // why the first of them
}

// values returns the values of all columns.
func (r *row) values() parquet.Row {
	r.all = r.all[:0]
	for _, column := range r.columns {
		r.all = append(r.all, column...)
	}
	return r.all
}

func (r *row) failed(err error) {
	if r.unread++; r.unread == 1 {
		r.first = err
	}
}

// levels say where a value belongs: Parquet has the values of a column one after the other
// (https://parquet.apache.org/docs/file-format/nestedencoding/).
type levels struct {
	repetition int // how deep the list is of which it is another element; 0: a new row
	lists      int // how many lists it is in
	definition int // how many of those around it, lists or what can be NULL, are there
}

// field appends the value that a message has in a field.
func (r *row) field(f *field, message protoreflect.Message, at levels) {
	own := message.Descriptor().Fields().ByNumber(f.number)
	if own == nil { // the version of the event does not have it, but perhaps who sent it
		own = f.known
		newer := dynamicpb.NewMessage(own.ContainingMessage())
		if err := (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(message.GetUnknown(), newer); err != nil {
			r.failed(fmt.Errorf("%s: %w", own.FullName(), err))
			r.null(f, at)
			return
		}
		message = newer
	}
	if own.HasPresence() && !message.Has(own) {
		r.null(f, at)
		return
	}
	r.value(f, own, message.Get(own), at)
}

// null appends that there is nothing.
func (r *row) null(f *field, at levels) {
	for column := f.first; column < f.end; column++ {
		r.append(column, parquet.NullValue(), at)
	}
}

func (r *row) append(column int, value parquet.Value, at levels) {
	r.columns[column] = append(r.columns[column], value.Level(at.repetition, at.definition, column))
}

// value appends a value of a field that the version of the event has as own says.
func (r *row) value(f *field, own protoreflect.FieldDescriptor, value protoreflect.Value, at levels) {
	there := at
	there.definition++
	switch f.kind {
	case record:
		for _, field := range f.fields {
			r.field(field, value.Message(), there)
		}
	case list:
		elements := value.List()
		r.each(f, elements.Len(), there, func(i int, at levels) { r.value(f.fields[0], own, elements.Get(i), at) })
	case mapping:
		entries := value.Map()
		keys := keysOf(entries)
		r.each(f, len(keys), there, func(i int, at levels) {
			key, _ := leaf(f.fields[0].kind, own.MapKey(), keys[i].Value()) // no key is one that can't be read
			r.append(f.fields[0].first, key, at)
			r.value(f.fields[1], own.MapValue(), entries.Get(keys[i]), at)
		})
	default:
		converted, err := leaf(f.kind, own, value)
		if err != nil {
			r.failed(fmt.Errorf("%s: %w", own.FullName(), err))
			r.null(f, at)
			return
		}
		r.append(f.first, converted, there)
	}
}

// each appends the elements of a list or of a map.
func (r *row) each(f *field, count int, at levels, element func(i int, at levels)) {
	if count == 0 {
		r.null(f, at)
	}
	at.lists++
	at.definition++
	for i := range count {
		element(i, at)
		at.repetition = at.lists
	}
}

func keysOf(entries protoreflect.Map) (keys []protoreflect.MapKey) {
	entries.Range(func(key protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, key)
		return true
	})
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

// leaf returns a single value as a column of a kind has it.
func leaf(kind kind, own protoreflect.FieldDescriptor, value protoreflect.Value) (parquet.Value, error) {
	if message := own.Message(); message != nil && kind != document {
		if isWrapper(message) {
			own = message.Fields().ByName("value")
			value = value.Message().Get(own)
		} else if kind != text {
			return moment(kind, value.Message())
		}
	}
	switch kind {
	case boolean:
		return parquet.BooleanValue(value.Bool()), nil
	case integer:
		switch own.Kind() {
		case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
			return parquet.Int64Value(int64(value.Uint())), nil
		}
		return parquet.Int64Value(value.Int()), nil
	case unsigned:
		return parquet.Int64Value(int64(value.Uint())), nil
	case number:
		return parquet.DoubleValue(value.Float()), nil
	case binary:
		return parquet.ByteArrayValue(value.Bytes()), nil
	}
	if kind == text && own.Kind() == protoreflect.StringKind {
		return parquet.ByteArrayValue([]byte(value.String())), nil
	}
	encoded, err := query.JSON(own, value)
	if kind == text {
		encoded = bytes.Trim(encoded, `"`)
	}
	return parquet.ByteArrayValue(encoded), err
}

// moment returns the value of a Timestamp or a Duration.
func moment(kind kind, message protoreflect.Message) (parquet.Value, error) {
	fields := message.Descriptor().Fields()
	seconds, nanos := message.Get(fields.ByName("seconds")).Int(), message.Get(fields.ByName("nanos")).Int()
	if kind == number {
		return parquet.DoubleValue(float64(seconds) + float64(nanos)/1e9), nil
	}
	at := &timestamppb.Timestamp{Seconds: seconds, Nanos: int32(nanos)}
	return parquet.Int64Value(at.AsTime().UnixMicro()), at.CheckValid()
}
