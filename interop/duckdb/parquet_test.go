package duckdb

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"github.com/duckdb/duckdb-go/v2"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate/parquet"
)

const source = `
	syntax = "proto3";
	package shop.v1;
	import "google/protobuf/duration.proto";
	import "google/protobuf/struct.proto";
	import "google/protobuf/timestamp.proto";
	import "google/protobuf/wrappers.proto";
	message Everything {
		double a_double = 1; float a_float = 2; int32 an_int32 = 3; int64 an_int64 = 4; uint32 a_uint32 = 5; uint64 a_uint64 = 6;
		sint32 a_sint32 = 7; sint64 a_sint64 = 8; fixed32 a_fixed32 = 9; fixed64 a_fixed64 = 10; sfixed32 an_sfixed32 = 11; sfixed64 an_sfixed64 = 12;
		bool a_bool = 13; string a_string = 14; bytes some_bytes = 15; Kind a_kind = 16;
		google.protobuf.Timestamp at = 17; google.protobuf.Duration took = 18; google.protobuf.Struct context = 19;
		optional double maybe_double = 20; optional int64 maybe_int64 = 21; optional uint64 maybe_uint64 = 22; optional bool maybe_bool = 23;
		optional string maybe_string = 24; optional bytes maybe_bytes = 25; optional Kind maybe_kind = 26;
		oneof choice { string card = 27; uint64 code = 28; Inner chosen = 29; }
		repeated int64 numbers = 30; repeated uint64 codes = 31; repeated string words = 32; repeated bytes blobs = 33; repeated Kind kinds = 34;
		repeated double doubles = 35; repeated bool bools = 36; repeated google.protobuf.Timestamp times = 37; repeated Inner inners = 38;
		map<string, int64> counts = 40; map<int64, string> names = 41; map<uint64, Inner> by_code = 42; map<bool, bytes> by_bool = 43; map<int32, Kind> by_number = 44;
		Inner inner = 50; Tree tree = 51; Nothing nothing = 52;
		google.protobuf.BoolValue wrapped_bool = 60; google.protobuf.Int64Value wrapped_int64 = 61; google.protobuf.UInt64Value wrapped_uint64 = 62;
		google.protobuf.DoubleValue wrapped_double = 63; google.protobuf.StringValue wrapped_string = 64; google.protobuf.BytesValue wrapped_bytes = 65;
	}
	enum Kind { KIND_UNSPECIFIED = 0; KIND_GOOD = 1; }
	message Inner { string name = 1; optional int32 size = 2; repeated Leaf leaves = 3; google.protobuf.Timestamp since = 4; map<string, Leaf> by_name = 5; }
	message Leaf { uint64 id = 1; optional string note = 2; repeated sint64 deltas = 3; }
	message Tree { string name = 1; repeated Tree children = 2; }
	message Nothing {}
`

// TestDuckDBReadsEachValue compares what DuckDB reads in a file with the events themselves.
func TestDuckDBReadsEachValue(t *testing.T) {
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"everything.proto": source}),
	})}
	files, err := compiler.Compile(t.Context(), "everything.proto")
	if err != nil {
		t.Fatal(err)
	}
	kind := files[0].Messages().ByName("Everything")
	messages := []protoreflect.Message{dynamicpb.NewMessage(kind)} // one in which nothing is set
	const random = 300
	for i := range random {
		message := dynamicpb.NewMessage(kind)
		values{rand.New(rand.NewPCG(uint64(i), 1))}.fill(t, message, 3)
		messages = append(messages, message)
	}
	rows := readByDuckDB(t, export(t, messages))
	if len(rows) != len(messages) {
		t.Fatalf("DuckDB reads %d rows, want %d", len(rows), len(messages))
	}
	for i, row := range rows {
		if row["position"] != int64(i+1) || row["id"] != strconv.Itoa(i) || row["source"] != "shop" || row["type"] != "order" || row["subject"] != "tom" || row["time"] != happened.UnixMicro() {
			t.Errorf("row %d has the attributes %v", i, row)
		}
		for j := range kind.Fields().Len() {
			field := kind.Fields().Get(j)
			got, there := row[string(field.Name())]
			if want := wanted(t, messages[i], field); !there || !reflect.DeepEqual(got, want) {
				t.Fatalf("row %d, %s: DuckDB reads %#v, the event has %#v", i, field.Name(), got, want)
			}
		}
	}
}

var happened = time.Date(2026, 11, 28, 12, 0, 0, 123_456_789, time.UTC)

// export returns a file that has the messages as events.
func export(t *testing.T, messages []protoreflect.Message) (file string) {
	t.Helper()
	url := "sqlite:" + filepath.Join(t.TempDir(), "events.db")
	log, err := eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	var events []eventlog.Event
	for i, message := range messages {
		data, err := proto.Marshal(message.Interface())
		if err != nil {
			t.Fatal(err)
		}
		kind := message.Descriptor()
		events = append(events, eventlog.Event{ID: strconv.Itoa(i), Source: "shop", Type: "order", Subject: "tom", Schema: string(kind.FullName()),
			Version: eventlog.SchemaOf(kind).Version, Data: data, Time: happened})
	}
	if _, err := log.Append(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "events.parquet")
	args := []string{"export", "--events", url, "--format", "parquet", "--to", file}
	if err := operate.Events(context.Background(), "shop-server", args, func(string) string { return "" }, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	return file
}

// readByDuckDB returns the rows of a file, by the names of columns.
func readByDuckDB(t *testing.T, file string) (all []map[string]any) {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM read_parquet(?) ORDER BY position", file)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		row, pointers := make([]any, len(names)), make([]any, len(names))
		for i := range row {
			pointers[i] = &row[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			t.Fatal(err)
		}
		named := map[string]any{}
		for i, name := range names {
			named[name] = asWanted(row[i])
		}
		all = append(all, named)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// asWanted returns a value of DuckDB as wanted returns that of an event.
func asWanted(value any) any {
	switch value := value.(type) {
	case time.Time:
		return value.UnixMicro()
	case float64:
		return number(value)
	case []any:
		list := []any{}
		for _, element := range value {
			list = append(list, asWanted(element))
		}
		return list
	case map[string]any:
		record := map[string]any{}
		for name, field := range value {
			record[name] = asWanted(field)
		}
		return record
	case duckdb.OrderedMap:
		entries := map[any]any{}
		for _, key := range value.Keys() {
			entry, _ := value.Get(key)
			entries[key] = asWanted(entry)
		}
		return entries
	}
	return value
}

// number returns a number so that NaN is equal to itself, and -0 not to 0.
func number(value float64) string { return fmt.Sprint(value, math.Signbit(value)) }

// wanted returns what the column of a field should have.
func wanted(t *testing.T, message protoreflect.Message, field protoreflect.FieldDescriptor) any {
	value := message.Get(field)
	switch {
	case field.HasPresence() && !message.Has(field):
		return nil
	case field.IsList():
		list := []any{}
		for i := range value.List().Len() {
			list = append(list, wantedValue(t, field, value.List().Get(i)))
		}
		return list
	case field.IsMap():
		entries := map[any]any{}
		for key, entry := range value.Map().Range {
			entries[wantedValue(t, field.MapKey(), key.Value())] = wantedValue(t, field.MapValue(), entry)
		}
		return entries
	}
	return wantedValue(t, field, value)
}

func wantedValue(t *testing.T, field protoreflect.FieldDescriptor, value protoreflect.Value) any {
	switch field.Kind() {
	case protoreflect.EnumKind:
		return string(field.Enum().Values().ByNumber(value.Enum()).Name())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return value.Int()
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return int64(value.Uint())
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return number(value.Float())
	case protoreflect.BytesKind:
		return append([]byte{}, value.Bytes()...)
	case protoreflect.MessageKind:
		return wantedMessage(t, field, value.Message())
	}
	return value.Interface()
}

func wantedMessage(t *testing.T, field protoreflect.FieldDescriptor, message protoreflect.Message) any {
	fields := message.Descriptor().Fields()
	switch name := field.Message().FullName(); {
	case name == "google.protobuf.Timestamp":
		return time.Unix(message.Get(fields.ByName("seconds")).Int(), message.Get(fields.ByName("nanos")).Int()).UnixMicro()
	case name == "google.protobuf.Duration":
		return number(float64(message.Get(fields.ByName("seconds")).Int()) + float64(message.Get(fields.ByName("nanos")).Int())/1e9)
	case name == "google.protobuf.Struct", name == "shop.v1.Nothing", field.ContainingMessage().Name() == "Tree":
		return wantedJSON(t, message)
	case name.Parent() == "google.protobuf":
		return wanted(t, message, fields.ByName("value"))
	}
	record := map[string]any{}
	for i := range fields.Len() {
		record[string(fields.Get(i).Name())] = wanted(t, message, fields.Get(i))
	}
	return record
}

// wantedJSON returns a message that has no integers of 64 bits, as package json has it.
func wantedJSON(t *testing.T, message protoreflect.Message) any {
	t.Helper()
	var value any
	text, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(message.Interface())
	if err == nil {
		err = json.Unmarshal(text, &value)
	}
	if err != nil {
		t.Fatal(err)
	}
	return asWanted(value)
}

// values are random ones, the extremes among them, the same for a seed.
type values struct{ *rand.Rand }

// fill sets about three of four fields.
func (v values) fill(t *testing.T, message protoreflect.Message, depth int) {
	switch message.Descriptor().FullName() {
	case "google.protobuf.Struct":
		if err := prototext.Unmarshal([]byte(`fields { key: "k" value { list_value { values { number_value: 1.5 } values { string_value: "\"ä" } values { null_value: 0 } } } }`), message.Interface()); err != nil {
			t.Fatal(err)
		}
		return
	case "google.protobuf.Timestamp", "google.protobuf.Duration":
		first, last := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
		seconds, nanos := []int64{0, first, last, -1, first + v.Int64N(last-first)}[v.IntN(5)], []int32{0, 1, 999_999_999, 123_456_789}[v.IntN(4)]
		if message.Descriptor().Name() == "Duration" {
			seconds = max(0, seconds)
		}
		message.Set(message.Descriptor().Fields().ByName("seconds"), protoreflect.ValueOf(seconds))
		message.Set(message.Descriptor().Fields().ByName("nanos"), protoreflect.ValueOf(nanos))
		return
	}
	for i := range message.Descriptor().Fields().Len() {
		field := message.Descriptor().Fields().Get(i)
		if v.IntN(4) == 0 || depth == 0 && field.Message() != nil {
			continue
		}
		switch {
		case field.IsMap():
			entries := message.Mutable(field).Map()
			for range v.IntN(4) {
				entries.Set(v.scalar(field.MapKey()).MapKey(), v.value(t, field.MapValue(), entries.NewValue, depth))
			}
		case field.IsList():
			list := message.Mutable(field).List()
			for range v.IntN(4) {
				list.Append(v.value(t, field, list.NewElement, depth))
			}
		default:
			message.Set(field, v.value(t, field, func() protoreflect.Value { return message.NewField(field) }, depth))
		}
	}
}

func (v values) value(t *testing.T, field protoreflect.FieldDescriptor, empty func() protoreflect.Value, depth int) protoreflect.Value {
	if field.Message() == nil {
		return v.scalar(field)
	}
	value := empty()
	v.fill(t, value.Message(), depth-1)
	return value
}

func (v values) scalar(field protoreflect.FieldDescriptor) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOf(v.IntN(2) == 0)
	case protoreflect.StringKind:
		return protoreflect.ValueOf([]string{"", "a", "ä\n\"\\'", fmt.Sprint(v.Uint64())}[v.IntN(4)])
	case protoreflect.BytesKind:
		return protoreflect.ValueOf([][]byte{{}, {0, 255}, []byte("abc")}[v.IntN(3)])
	case protoreflect.EnumKind:
		return protoreflect.ValueOf(protoreflect.EnumNumber(v.IntN(2)))
	case protoreflect.FloatKind:
		return protoreflect.ValueOf([]float32{0, 1.5, -2, float32(math.NaN()), float32(math.Inf(1)), math.MaxFloat32, math.SmallestNonzeroFloat32}[v.IntN(7)])
	case protoreflect.DoubleKind:
		return protoreflect.ValueOf([]float64{0, 0.1, -2, math.NaN(), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64}[v.IntN(7)])
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOf([]int32{0, 1, -1, math.MinInt32, math.MaxInt32}[v.IntN(5)])
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOf([]uint32{0, 1, math.MaxUint32}[v.IntN(3)])
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOf([]uint64{0, 1, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64}[v.IntN(5)])
	default:
		return protoreflect.ValueOf([]int64{0, 1, -1, math.MinInt64, math.MaxInt64, 1<<53 + 1}[v.IntN(6)])
	}
}
