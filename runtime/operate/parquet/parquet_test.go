package parquet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"github.com/parquet-go/parquet-go"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate/parquet"
)

const orders = `
	syntax = "proto3";
	package shop.v1;
	import "google/protobuf/timestamp.proto";
	import "google/protobuf/wrappers.proto";
	message OrderEvent {
		string user_id = 1; int64 amount = 2; optional int32 discount = 3; Status status = 4; google.protobuf.Timestamp placed = 5;
		Money total = 6; repeated string tags = 7; bytes signature = 8; double weight = 9; bool gift = 10; uint64 serial = 11;
		google.protobuf.BoolValue sure = 12;
	}
	enum Status { STATUS_UNSPECIFIED = 0; STATUS_PAID = 1; }
	message Money { string currency = 1; int64 cents = 2; }
`

// appendEvents makes a log that has the messages as events, and returns its URL.
func appendEvents(t *testing.T, name string, messages ...string) string {
	t.Helper()
	url := "sqlite:" + filepath.Join(t.TempDir(), "events.db")
	appendTo(t, url, orders, name, messages...)
	return url
}

// appendTo appends messages of a proto to a log.
func appendTo(t *testing.T, url, definition, name string, messages ...string) {
	t.Helper()
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"test.proto": definition}),
	})}
	files, err := compiler.Compile(t.Context(), "test.proto")
	if err != nil {
		t.Fatal(err)
	}
	kind := files[0].FindDescriptorByName(protoreflect.FullName("shop.v1." + name)).(protoreflect.MessageDescriptor)
	log, err := eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	stats, err := log.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range messages {
		i += int(stats.Last)
		message := dynamicpb.NewMessage(kind)
		if err := prototext.Unmarshal([]byte(text), message); err != nil {
			t.Fatal(err)
		}
		data, err := proto.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		_, err = log.Append(t.Context(), eventlog.Event{ID: string(rune('a' + i)), Source: "shop", Subject: string(rune('a' + i)), Type: "order.placed", Schema: string(kind.FullName()),
			Version: eventlog.SchemaOf(kind).Version, Data: data, Time: time.Date(2026, 11, 28, 12, 0, 0, 5000, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func export(t *testing.T, url string, args ...string) (file string, err error) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "orders.parquet")
	args = append([]string{"export", "--events", url, "--format", "parquet", "--to", file}, args...)
	return file, operate.Events(context.Background(), "shop-server", args, func(string) string { return "" }, &bytes.Buffer{})
}

const paid = `user_id: "ann" amount: 9007199254740993 discount: 0 status: STATUS_PAID placed { seconds: 1796000000 nanos: 5000 }
	total { currency: "EUR" cents: 50 } tags: "a" tags: "b" signature: "\x00\xff" weight: nan gift: true serial: 18446744073709551615 sure { value: true }`

func TestEachColumnHasItsType(t *testing.T) {
	expectFile(t, appendEvents(t, "OrderEvent", paid, ""), `
	optional binary user_id (STRING);
	optional int64 amount (INT(64,true));
	optional int64 discount (INT(64,true));
	optional binary status (STRING);
	optional int64 placed (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));
	optional group total {
		optional binary currency (STRING);
		optional int64 cents (INT(64,true));
	}
	optional group tags (LIST) {
		repeated group list {
			optional binary element (STRING);
		}
	}
	optional binary signature;
	optional double weight;
	optional boolean gift;
	optional int64 serial (INT(64,false));
	optional boolean sure;`,
		`ann 9007199254740993 0 STATUS_PAID 1796000000000005 EUR 50 a b `+"\x00\xff"+` NaN true -1 true`,
		` 0 <null> STATUS_UNSPECIFIED <null> <null> <null> <null>  0 false 0 <null>`)
}

// A file has what each version of the message has, also within others, and in JSON what
// has no one type.
func TestFormerVersionsAreInTheFile(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "events.db")
	appendTo(t, url, `syntax = "proto3"; package shop.v1;
		message OrderEvent { Money total = 1; Money fee = 2; string amount = 3; repeated int32 codes = 4; map<string, Money> by_name = 5; }
		message Money { string currency = 1; int64 cents = 2; string note = 3; }`, "OrderEvent",
		`total { currency: "EUR" cents: 50 note: "n" } fee { cents: 1 } amount: "5" codes: 7 by_name { key: "b" value { note: "x" } } by_name { key: "a" value { cents: 2 } }`)
	appendTo(t, url, `syntax = "proto3"; package shop.v1;
		message OrderEvent { Money total = 1; int64 fee = 2; int64 amount = 3; repeated string codes = 4; map<string, Money> by_name = 5; Tree tree = 6; Nothing nothing = 7; }
		message Money { string currency = 1; int64 hundredths = 2; optional int64 tax = 4; }
		message Tree { string name = 1; repeated Tree children = 2; }
		message Nothing {}`, "OrderEvent",
		`total { currency: "EUR" hundredths: 51 tax: 0 } fee: 2 amount: 6 codes: "c" tree { name: "r" children { name: "a" } children { name: "b" } } nothing {}`)
	expectFile(t, url, `
	optional group total {
		optional binary currency (STRING);
		optional int64 hundredths (INT(64,true));
		optional int64 tax (INT(64,true));
		optional binary note (STRING);
	}
	optional binary fee (JSON);
	optional binary amount (STRING);
	optional group codes (LIST) {
		repeated group list {
			optional binary element (STRING);
		}
	}
	optional group by_name (MAP) {
		repeated group key_value {
			required binary key (STRING);
			optional group value {
				optional binary currency (STRING);
				optional int64 hundredths (INT(64,true));
				optional int64 tax (INT(64,true));
				optional binary note (STRING);
			}
		}
	}
	optional group tree {
		optional binary name (STRING);
		optional group children (LIST) {
			repeated group list {
				optional binary element (JSON);
			}
		}
	}
	optional binary nothing (JSON);`,
		`EUR 50 <null> n {"currency":"","cents":1,"note":""} 5 7 a b   2 0 <null> <null>  x <null> <null> <null>`,
		`EUR 51 0  2 6 c <null> <null> <null> <null> <null> r {"name":"a","children":[]} {"name":"b","children":[]} {}`)
}

// One value that can't be read does not keep the others from a file.
func TestWhatCantBeReadIsNull(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "events.db")
	appendTo(t, url, `syntax = "proto3"; package shop.v1; import "google/protobuf/timestamp.proto";
		message OrderEvent { repeated google.protobuf.Timestamp times = 1; int64 amount = 2; }`, "OrderEvent",
		`times { seconds: 1 } times { seconds: 999999999999 } times { seconds: -1 nanos: 999000 } amount: 5`)
	log, err := eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	_, err = log.Append(t.Context(), eventlog.Event{ID: "b", Source: "shop", Subject: "b", Type: "order.placed", Schema: "shop.v1.OrderEvent",
		Data: []byte("\xff\xff"), Time: time.Date(2026, 11, 28, 12, 0, 0, 5000, time.UTC)})
	if err = errors.Join(err, log.Close()); err != nil {
		t.Fatal(err)
	}
	expectFile(t, url, `
	optional group times (LIST) {
		repeated group list {
			optional int64 element (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));
		}
	}
	optional int64 amount (INT(64,true));`,
		"1000000 <null> -999001 5", "<null> <null>")
}

// expectFile compares what is exported with the schema and the rows that it should have
// besides the attributes.
func expectFile(t *testing.T, url, schema string, want ...string) {
	t.Helper()
	file, err := export(t, url)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	about, err := opened.Stat()
	if err != nil {
		t.Fatal(err)
	}
	read, err := parquet.OpenFile(opened, about.Size())
	if err != nil {
		t.Fatal(err)
	}
	const attributes = `message order_event {
	required int64 position (INT(64,true));
	required int64 recorded (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));
	required binary source (STRING);
	required binary id (STRING);
	required binary type (STRING);
	required binary subject (STRING);
	required int64 time (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));`
	if got := read.Schema().String(); got != attributes+schema+"\n}" {
		t.Errorf("the file has the schema\n%s\nwant\n%s%s\n}", got, attributes, schema)
	}
	rows := parquet.NewReader(opened)
	defer rows.Close()
	all := make([]parquet.Row, len(want))
	if n, _ := rows.ReadRows(all); n != len(want) {
		t.Fatalf("read %d rows, want %d", n, len(want))
	}
	for i, want := range want {
		want = fmt.Sprintf("%d · shop %[2]c order.placed %[2]c 1795867200000005 ", i+1, 'a'+i) + want
		var got []string
		for j, value := range all[i] {
			if j == 1 { // when it was stored
				value = parquet.ByteArrayValue([]byte("·"))
			}
			got = append(got, value.String())
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("row %d:\n%q\nwant\n%q", i, text, want)
		}
	}
}

// numRows returns how many rows there are in what is exported.
func numRows(t *testing.T, url string, args ...string) int64 {
	t.Helper()
	file, err := export(t, url, args...)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	read, err := parquet.OpenFile(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	return read.NumRows()
}

// What is exported can be chosen.
func TestAFileHasOneMessage(t *testing.T) {
	url := appendEvents(t, "OrderEvent", "amount: 5", "amount: 6")
	for args, want := range map[string]int64{"": 2, "--after 1": 1, "--type order.paid": 0, "--until 1h": 0, "--message order_event": 2, "--message shop.v1.OrderEvent": 2} {
		if got := numRows(t, url, strings.Fields(args)...); got != want {
			t.Errorf("%q: %d rows, want %d", args, got, want)
		}
	}
	if _, err := export(t, url, "--message", "stock"); err == nil || !strings.Contains(err.Error(), "there is no message stock: there are order_event") {
		t.Errorf("got %v, want the messages that there are", err)
	}
}

// An event that is erased would be a row with the default in each column.
func TestErasedEventsAreNotInAFile(t *testing.T) {
	url := appendEvents(t, "OrderEvent", "amount: 5", "amount: 6")
	if err := operate.Events(t.Context(), "shop-server", []string{"erase", "--events", url, "--source", "shop", "--subject", "a"}, func(string) string { return "" }, &bytes.Buffer{}, operate.Backup); err != nil {
		t.Fatal(err)
	}
	if rows := numRows(t, url); rows != 1 {
		t.Errorf("%d rows, want the one that is not erased", rows)
	}
}
