package query_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"github.com/nats-io/nats-server/v2/server"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/memory"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/nats"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate/query"
)

// orders has the events of most tests.
const orders = `
	syntax = "proto3";
	package shop.v1;
	import "google/protobuf/timestamp.proto";
	import "google/protobuf/duration.proto";
	import "google/protobuf/struct.proto";
	import "google/protobuf/wrappers.proto";
	message OrderEvent {
		string user_id = 1;
		int64 amount = 2;
		optional int32 discount = 3;
		Status status = 4;
		google.protobuf.Timestamp placed = 5;
		Money total = 6;
		repeated Item items = 7;
		map<string, int64> counts = 8;
		bytes signature = 9;
		double weight = 10;
		bool gift = 11;
		oneof payment { string card = 12; bool cash = 13; }
		google.protobuf.Struct context = 14;
		google.protobuf.Duration delay = 15;
		google.protobuf.Int64Value limit = 16;
		uint64 serial = 17;
		string type = 18;
		repeated sint32 deltas = 19;
	}
	enum Status { STATUS_UNSPECIFIED = 0; STATUS_PAID = 1; }
	message Money { string currency = 1; int64 cents = 2; }
	message Item { string sku = 1; Money price = 2; }
	message StockEvent { int32 left = 1; }
`

// compile returns a message of a proto.
func compile(t testing.TB, source, name string) protoreflect.MessageDescriptor {
	t.Helper()
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"test.proto": source}),
	})}
	files, err := compiler.Compile(context.Background(), "test.proto")
	if err != nil {
		t.Fatal(err)
	}
	return files[0].FindDescriptorByName(protoreflect.FullName(name)).(protoreflect.MessageDescriptor)
}

// event returns an event with a message in text format.
func event(t testing.TB, id string, kind protoreflect.MessageDescriptor, text string) eventlog.Event {
	t.Helper()
	message := dynamicpb.NewMessage(kind)
	if err := prototext.Unmarshal([]byte(text), message); err != nil {
		t.Fatal(err)
	}
	data, err := proto.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	return eventlog.Event{ID: id, Source: "shop", Type: "order.placed", Subject: "jerry", Schema: string(kind.FullName()),
		Version: eventlog.SchemaOf(kind).Version, Data: data, Time: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
}

func open(t testing.TB, url string) eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

// startNATS starts a server in this process, and returns its URL.
func startNATS(t testing.TB) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server does not start")
	}
	return s.ClientURL()
}

func sqliteURL(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "events.db") }

func mustAppend(t testing.TB, log eventlog.Log, events ...eventlog.Event) {
	t.Helper()
	if _, err := log.Append(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
}

// session opens the events of a log for queries.
func session(t testing.TB, log eventlog.Log, events query.Range) (s *query.Session, out, notes *bytes.Buffer) {
	t.Helper()
	db, err := query.Open(t.Context(), log, events, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	out, notes = &bytes.Buffer{}, &bytes.Buffer{}
	return &query.Session{DB: db, Out: out, Notes: notes, Format: "json"}, out, notes
}

// answer returns what a query answers, in lines of JSON.
func answer(t testing.TB, log eventlog.Log, query_ string) string {
	t.Helper()
	s, out, notes := session(t, log, query.Range{})
	if err := s.Run(t.Context(), query_); err != nil {
		t.Fatalf("%s: %v", query_, err)
	}
	if notes.Len() > 0 {
		t.Errorf("%s: noted %s", query_, notes)
	}
	return strings.TrimSpace(out.String())
}

const paid = `user_id: "ann" amount: 9007199254740993 discount: 0 status: STATUS_PAID placed { seconds: 1796000000 nanos: 5 }
	total { currency: "EUR" cents: 50 } items { sku: "a\"b" price { cents: 7 } } items { sku: "c" }
	counts { key: "y" value: 2 } counts { key: "x" value: 1 } signature: "\x00\xff" weight: 1.5 gift: true cash: false
	context { fields { key: "k" value { number_value: 1 } } } delay { seconds: 90 nanos: 500000000 } limit { value: 0 }
	serial: 18446744073709551615 type: "own" deltas: -1 deltas: 2`

func TestEachFieldIsAColumn(t *testing.T) {
	kind := compile(t, orders, "shop.v1.OrderEvent")
	for name, url := range map[string]string{
		"sqlite": sqliteURL(t), "memory": "memory:", "nats": startNATS(t) + "/ORDERS?durability=none",
	} {
		t.Run(name, func(t *testing.T) {
			log := open(t, url)
			mustAppend(t, log, event(t, "1", kind, paid), event(t, "2", kind, ""))
			for expression, want := range map[string]string{
				"position > 0, source, id, type, subject, time": `{"position > 0":1,"source":"shop","id":"1","type":"order.placed","subject":"jerry","time":"2026-11-28T12:00:00.000000000Z"}` + "\n" +
					`{"position > 0":1,"source":"shop","id":"2","type":"order.placed","subject":"jerry","time":"2026-11-28T12:00:00.000000000Z"}`,
				"user_id, amount":                   `{"user_id":"ann","amount":9007199254740993}` + "\n" + `{"user_id":"","amount":0}`,
				"discount":                          `{"discount":0}` + "\n" + `{"discount":null}`,
				"status":                            `{"status":"STATUS_PAID"}` + "\n" + `{"status":"STATUS_UNSPECIFIED"}`,
				"placed":                            `{"placed":"2026-11-30T00:53:20.000000005Z"}` + "\n" + `{"placed":null}`,
				"total":                             `{"total":"{\"currency\":\"EUR\",\"cents\":50}"}` + "\n" + `{"total":null}`,
				"items":                             `{"items":"[{\"sku\":\"a\\\"b\",\"price\":{\"currency\":\"\",\"cents\":7}},{\"sku\":\"c\"}]"}` + "\n" + `{"items":"[]"}`,
				"counts":                            `{"counts":"{\"x\":1,\"y\":2}"}` + "\n" + `{"counts":"{}"}`,
				"signature, typeof(signature) kind": `{"signature":"AP8=","kind":"blob"}` + "\n" + `{"signature":"","kind":"blob"}`,
				"weight, gift":                      `{"weight":1.5,"gift":1}` + "\n" + `{"weight":0,"gift":0}`,
				"card, cash":                        `{"card":null,"cash":0}` + "\n" + `{"card":null,"cash":null}`,
				"context":                           `{"context":"{\"k\":1}"}` + "\n" + `{"context":null}`,
				"delay, \"limit\"":                  `{"delay":90.5,"limit":0}` + "\n" + `{"delay":null,"limit":null}`,
				"serial":                            `{"serial":"18446744073709551615"}` + "\n" + `{"serial":0}`,
				"field_type":                        `{"field_type":"own"}` + "\n" + `{"field_type":""}`,
				"deltas":                            `{"deltas":"[-1,2]"}` + "\n" + `{"deltas":"[]"}`,
			} {
				if got := answer(t, log, "SELECT "+expression+" FROM order_event ORDER BY position"); got != want {
					t.Errorf("%s:\n%s\nwant\n%s", expression, got, want)
				}
			}
		})
	}
}

// What is asked of a column is what a column of its type would answer.
func TestColumnsCompareAndAddUp(t *testing.T) {
	kind := compile(t, orders, "shop.v1.OrderEvent")
	log := open(t, sqliteURL(t))
	mustAppend(t, log, event(t, "1", kind, `user_id: "ann" amount: 50 total { cents: 50 } placed { seconds: 1000 }`),
		event(t, "2", kind, `user_id: "bob" amount: 100 total { cents: 100 } placed { seconds: 1000 nanos: 1 }`),
		event(t, "3", kind, `user_id: "ann" amount: 7 total { cents: 7 } placed { seconds: 1001 }`))
	for query, want := range map[string]string{
		"SELECT user_id, sum(amount) AS sum FROM order_event GROUP BY 1":           `{"user_id":"ann","sum":57}` + "\n" + `{"user_id":"bob","sum":100}`,
		"SELECT id FROM order_event WHERE amount > '9' AND amount = '50'":          `{"id":"1"}`,
		"SELECT id FROM order_event WHERE total->>'cents' > 60":                    `{"id":"2"}`,
		"SELECT group_concat(id, '') AS ids FROM order_event ORDER BY placed DESC": `{"ids":"123"}`,
		"SELECT id FROM order_event ORDER BY placed DESC":                          `{"id":"3"}` + "\n" + `{"id":"2"}` + "\n" + `{"id":"1"}`,
		"SELECT strftime('%s', placed) AS at FROM order_event WHERE id = '3'":      `{"at":"1001"}`,
		"SELECT type, count(*) AS n, sum(data->>'amount') AS sum FROM events":      `{"type":"order.placed","n":3,"sum":157}`,
	} {
		if got := answer(t, log, query); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", query, got, want)
		}
	}
}

// Each event is read by the version that it was stored with, whatever its fields were
// called then, and also what only former versions had.
func TestAnEventIsReadByItsVersion(t *testing.T) {
	before := compile(t, `syntax = "proto3"; package changed.v1;
		message PageEvent { string user = 1; string amount = 2; string gone = 3; Kind kind = 4; enum Kind { NONE = 0; OLD = 1; } }`, "changed.v1.PageEvent")
	after := compile(t, `syntax = "proto3"; package changed.v1;
		message PageEvent { string user_id = 1; int64 amount = 2; Kind kind = 4; string added = 5; enum Kind { NONE = 0; NEW = 1; } }`, "changed.v1.PageEvent")
	for name, url := range map[string]string{"sqlite": sqliteURL(t), "memory": "memory:"} {
		t.Run(name, func(t *testing.T) {
			log := open(t, url)
			mustAppend(t, log, event(t, "1", before, `user: "ann" amount: "5 EUR" gone: "x" kind: OLD`), event(t, "2", after, `user_id: "bob" amount: 5 kind: NEW`))
			want := `{"user_id":"ann","amount":"5 EUR","kind":"OLD","added":"","gone":"x"}` + "\n" + `{"user_id":"bob","amount":5,"kind":"NEW","added":"","gone":""}`
			if got := answer(t, log, "SELECT user_id, amount, kind, added, gone FROM page_event"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			want = `{"data":"{\"user\":\"ann\",\"amount\":\"5 EUR\",\"gone\":\"x\",\"kind\":\"OLD\"}"}` + "\n" + `{"data":"{\"user_id\":\"bob\",\"amount\":5,\"kind\":\"NEW\",\"added\":\"\"}"}`
			if got := answer(t, log, "SELECT data FROM events"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// Random messages, also in several pieces, have in their columns what the library of
// protobuf reads.
func TestColumnsAreWhatProtobufReads(t *testing.T) {
	const fields = `
		%[1]s double a = 1; %[1]s float b = 2; %[1]s int32 c = 3; %[1]s int64 d = 4; %[1]s uint32 e = 5; %[1]s uint64 f = 6; %[1]s sint32 g = 7;
		%[1]s sint64 h = 8; %[1]s fixed32 i = 9; %[1]s fixed64 j = 10; %[1]s sfixed32 k = 11; %[1]s sfixed64 l = 12; %[1]s bool m = 13;
		%[1]s string n = 14; %[1]s bytes o = 15; %[1]s E p = 16; %[1]s M q = 17; %[1]s google.protobuf.Int64Value w = 18; %[1]s google.protobuf.Duration x = 19;`
	sources := map[string]string{
		"proto2": `syntax = "proto2"; package k; import "google/protobuf/wrappers.proto"; import "google/protobuf/duration.proto"; enum E { Z = 0; Y = 1; }
			message M {` + fmt.Sprintf(fields, "optional") + ` optional group R = 30 { optional int32 s = 1; } repeated group V = 31 { optional int32 s = 1; } }`,
		"proto3": `syntax = "proto3"; package k; import "google/protobuf/wrappers.proto"; import "google/protobuf/duration.proto"; enum E { Z = 0; Y = 1; }
			message M {` + fmt.Sprintf(fields, "") + ` map<int32, M> t = 20; }`,
		"repeated": `syntax = "proto3"; package k; import "google/protobuf/wrappers.proto"; import "google/protobuf/duration.proto"; enum E { Z = 0; Y = 1; }
			message M {` + fmt.Sprintf(fields, "repeated") + `}`,
		"edition": `edition = "2023"; package k; import "google/protobuf/wrappers.proto"; import "google/protobuf/duration.proto"; enum E { Z = 0; Y = 1; }
			message M {` + fmt.Sprintf(fields, "") + ` M u = 21 [features.message_encoding = DELIMITED]; }`,
	}
	for name, source := range sources {
		t.Run(name, func(t *testing.T) {
			kind := compile(t, strings.ReplaceAll(source, "package k;", "package k."+name+";"), "k."+name+".M")
			random := newRandom(1)
			log := open(t, sqliteURL(t))
			var events []eventlog.Event
			var messages []*dynamicpb.Message
			for i := range 200 {
				data := append(random.message(t, kind, 3), random.message(t, kind, 2)...)
				data = protowire.AppendVarint(protowire.AppendTag(data, 99, protowire.VarintType), 1) // of a newer program
				message := dynamicpb.NewMessage(kind)
				if err := proto.Unmarshal(data, message); err != nil {
					t.Fatal(err)
				}
				events = append(events, event(t, fmt.Sprint(i), kind, ""))
				events[i].Data, messages = data, append(messages, message)
			}
			mustAppend(t, log, events...)
			columns := []string{}
			for i := range kind.Fields().Len() {
				columns = append(columns, string(kind.Fields().Get(i).Name()))
			}
			lines := strings.Split(answer(t, log, "SELECT "+strings.Join(columns, ", ")+" FROM m"), "\n")
			for i, message := range messages {
				var got map[string]any
				decoder := json.NewDecoder(strings.NewReader(lines[i]))
				decoder.UseNumber()
				if err := decoder.Decode(&got); err != nil {
					t.Fatal(err)
				}
				for j := range kind.Fields().Len() {
					field := kind.Fields().Get(j)
					if want, got := expected(field, message), fmt.Sprint(got[string(field.Name())]); got != want {
						t.Fatalf("message %d, %s: got %s, want %s", i, field.Name(), got, want)
					}
				}
			}
		})
	}
}

func TestRangeIsWhatViewsHave(t *testing.T) {
	kind := compile(t, orders, "shop.v1.OrderEvent")
	for name, url := range map[string]string{"sqlite": sqliteURL(t), "memory": "memory:"} {
		t.Run(name, func(t *testing.T) {
			log := open(t, url)
			other := event(t, "2", kind, "")
			other.Type = "order.paid"
			mustAppend(t, log, event(t, "1", kind, ""), other, event(t, "3", kind, ""))
			var recorded []time.Time
			for record, err := range log.Read(t.Context(), eventlog.From{}) {
				if err != nil {
					t.Fatal(err)
				}
				recorded = append(recorded, record.Recorded)
			}
			for want, events := range map[string]query.Range{
				"1,2,3": {Until: recorded[2].Add(1)}, "2,3": {After: 1}, "2": {Type: "order.paid"}, "": {Until: recorded[0]},
			} {
				s, out, _ := session(t, log, events)
				if err := s.Run(t.Context(), "SELECT coalesce(group_concat(id), '') FROM order_event UNION ALL SELECT coalesce(group_concat(id), '') FROM events"); err != nil {
					t.Fatal(err)
				}
				if got := strings.Count(out.String(), `:"`+want+`"}`); got != 2 {
					t.Errorf("%+v: got %s, want twice %s", events, out, want)
				}
			}
		})
	}
}

// TestNothingCanBeChanged: neither the log, nor a file beside it, nor the copy of another log.
func TestNothingCanBeChanged(t *testing.T) {
	for name, url := range map[string]string{"sqlite": sqliteURL(t), "memory": "memory:"} {
		t.Run(name, func(t *testing.T) {
			log := open(t, url)
			mustAppend(t, log, event(t, "1", compile(t, orders, "shop.v1.OrderEvent"), ""))
			dir := t.TempDir()
			if name == "sqlite" {
				dir = filepath.Dir(strings.TrimPrefix(url, "sqlite:"))
			}
			path := filepath.Join(dir, "events.db")
			s, out, _ := session(t, log, query.Range{})
			before := contents(t, dir)
			attach, off := "ATTACH '"+path+"' AS w", "PRAGMA query_only = 0"
			for _, statement := range []string{
				"DELETE FROM main.events", "DELETE FROM order_event", "DROP VIEW order_event", "PRAGMA user_version = 77", "PRAGMA main.user_version(77)",
				off, "PRAGMA\tmain.\"QUERY_only\"(off)", "PrAgMa/*;*/[query_only]=false", "-- so\nPRAGMA `query_only` = 'no'", "PRAGMA temp_store = memory",
				"PRAGMA journal_mode = delete", "PRAGMA writable_schema = on", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA wal_checkpoint",
				attach, "aTTach/**/DATABASE\n\"" + path + "\" AS w", "EXPLAIN " + attach, "ATTACH ':memory:' AS w", "ATTACH 'file:" + path + "?mode=rw' AS w",
				"VACUUM", "VACUUM INTO '" + path + "2'", "vacuum/**/main INTO('" + path + "'||2)",
			} {
				if err := s.Run(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "events are only read here") && !strings.Contains(err.Error(), "it is a view") {
					t.Errorf("%s: the error is %v", statement, err)
				}
			}
			// As one text, and as one query of SQLite, which goes on after a semicolon.
			for _, text := range []string{off + "; " + attach + "; DELETE FROM w.events", "SELECT 1; " + attach + "; SELECT 2", "SELECT 1; " + off + "; DELETE FROM main.events"} {
				if err := s.Run(t.Context(), text); err == nil {
					t.Errorf("%s: no error", text)
				}
				if rows, err := s.DB.Query(t.Context(), text); err == nil {
					for rows.NextResultSet() {
					}
					if rows.Err() == nil {
						t.Errorf("as one query, %s: no error", text)
					}
					rows.Close()
				}
			}
			if after := contents(t, dir); !maps.Equal(before, after) {
				t.Errorf("there were the files %v, and are %v", slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
			}
			out.Reset()
			if err := s.Run(t.Context(), "SELECT count(*) AS n, (SELECT user_version FROM pragma_user_version) = 77 AS changed FROM main.events; SELECT count(*) AS n FROM order_event"); err != nil {
				t.Fatal(err)
			}
			if want := `{"n":1,"changed":0}` + "\n" + `{"n":1}` + "\n"; out.String() != want {
				t.Errorf("then the events are %s", out)
			}
		})
	}
}

// contents returns what the files of a folder have, without those of shared memory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(file.Name(), "-shm") {
			found[file.Name()] = string(data)
		}
	}
	return found
}

// What describes the views, or makes a query faster, is allowed.
func TestPragmasThatOnlyDescribe(t *testing.T) {
	log := open(t, sqliteURL(t))
	mustAppend(t, log, event(t, "1", compile(t, orders, "shop.v1.StockEvent"), ""))
	for statement, want := range map[string]string{
		"SELECT count(*) AS n FROM pragma_table_info('stock_event')": `{"n":8}`,
		"PRAGMA query_only":         `{"query_only":1}`,
		"PRAGMA cache_size = -8000": "",
	} {
		if got := answer(t, log, statement); got != want {
			t.Errorf("%s: got %s, want %s", statement, got, want)
		}
	}
}

// The functions of the views get what somebody gives them.
func TestFunctionsOfTheViews(t *testing.T) {
	log := open(t, sqliteURL(t))
	mustAppend(t, log, event(t, "1", compile(t, orders, "shop.v1.OrderEvent"), ""))
	s, _, _ := session(t, log, query.Range{})
	for _, index := range []string{"999", "-1", "9223372036854775807", "NULL", "'0'", "0.5", "x'00'"} {
		err := s.Run(t.Context(), "SELECT event_field(x'00', 0, "+index+")")
		if err == nil || !strings.Contains(err.Error(), "event_field is for the views only") {
			t.Errorf("event_field with %s: the error is %v", index, err)
		}
	}
	for _, schema := range []string{"NULL", "1", "x'00'"} {
		err := s.Run(t.Context(), "SELECT event_data(x'00', 0, "+schema+")")
		if err == nil || !strings.Contains(err.Error(), "event_data is for the views only") {
			t.Errorf("event_data with %s: the error is %v", schema, err)
		}
	}
	for _, harmless := range []string{
		"event_field(NULL, NULL, 0)", "event_field('a', 'b', 0)", "event_field(x'ff', 1, 2)", "event_data(NULL, NULL, '')", "event_data(1, 2.5, 'shop.v1.OrderEvent')",
		"event_data(x'ffff', 1, 'shop.v1.OrderEvent')", "event_pause(NULL)", "event_pause('a')",
	} {
		if err := s.Run(t.Context(), "SELECT "+harmless); err != nil {
			t.Errorf("%s: %v", harmless, err)
		}
	}
}

// One event that can't be read does not keep the others from being counted, and is not
// passed over in silence.
func TestWhatCannotBeReadIsSaid(t *testing.T) {
	kind := compile(t, orders, "shop.v1.OrderEvent")
	log := open(t, sqliteURL(t))
	broken := event(t, "2", kind, "")
	broken.Data = []byte{0x0a, 0x7f}
	unknown := event(t, "3", kind, "")
	unknown.Schema, unknown.Version = "not.known.Here", ""
	mustAppend(t, log, event(t, "1", kind, "amount: 5"), broken, unknown)
	s, out, notes := session(t, log, query.Range{})
	for query, want := range map[string][2]string{
		"SELECT count(*) AS n, sum(amount) AS sum FROM order_event": {`{"n":2,"sum":5}`, "order_event.amount: 1 value could not be read and are NULL: the data is not a protobuf message\n"},
		"SELECT count(data) AS n FROM events WHERE id = '3'":        {`{"n":0}`, "events.data of not.known.Here: 1 value could not be read and are NULL: neither the log nor this program knows the type of the message\n"},
	} {
		out.Reset()
		notes.Reset()
		if err := s.Run(t.Context(), query); err != nil {
			t.Fatal(err)
		}
		if out.String() != want[0]+"\n" || notes.String() != want[1] {
			t.Errorf("%s:\n%s%s\nwant\n%s", query, out, notes, want)
		}
	}
}

// TestVersionsThatCannotBeRead: their events are NULL, and are counted. Those of others are read.
func TestVersionsThatCannotBeRead(t *testing.T) {
	for name, url := range map[string]string{"sqlite": sqliteURL(t), "memory": "memory:"} {
		t.Run(name, func(t *testing.T) {
			log := open(t, url)
			good := event(t, "1", compile(t, orders, "shop.v1.StockEvent"), "left: 5")
			var events []eventlog.Event
			for i, schema := range []string{"shop.v1.StockEvent", "shop.v1.Gone"} {
				version := fmt.Sprintf("%016x", 255+i)
				eventlog.RegisterSchema(eventlog.Schema{Name: schema, Version: version, Files: &descriptorpb.FileDescriptorSet{
					File: []*descriptorpb.FileDescriptorProto{{Name: proto.String("broken.proto"), Dependency: []string{"missing.proto"}}},
				}})
				broken := good
				broken.ID, broken.Schema, broken.Version = fmt.Sprint(2+i), schema, version
				events = append(events, broken)
			}
			mustAppend(t, log, append(events, good)...)
			s, out, notes := session(t, log, query.Range{})
			if err := s.Run(t.Context(), "SELECT id, left FROM stock_event ORDER BY id; SELECT id, data FROM events ORDER BY id"); err != nil {
				t.Fatal(err)
			}
			want := `{"id":"1","left":5}` + "\n" + `{"id":"2","left":null}` + "\n" +
				`{"id":"1","data":"{\"left\":5}"}` + "\n" + `{"id":"2","data":null}` + "\n" + `{"id":"3","data":null}` + "\n"
			if out.String() != want {
				t.Errorf("got\n%s\nwant\n%s", out, want)
			}
			for _, want := range []string{
				"stock_event.left: 1 value could not be read and are NULL: version 00000000000000ff of the schema of shop.v1.StockEvent can't be read",
				"events.data of shop.v1.StockEvent: 1 value could", "events.data of shop.v1.Gone: 1 value could",
			} {
				if !strings.Contains(notes.String(), want) {
					t.Errorf("it reports\n%s\nwithout %s", notes, want)
				}
			}
		})
	}
}

// The copy of a log that is not a file is gone when the DB is closed.
func TestTheCopyIsRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	log := open(t, "memory:")
	mustAppend(t, log, event(t, "1", compile(t, orders, "shop.v1.OrderEvent"), ""))
	db, err := query.Open(t.Context(), log, query.Range{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v (%v)", left, err)
	}
}

func TestViewsOfOneNameHaveThatOfTheirPackage(t *testing.T) {
	log := open(t, sqliteURL(t))
	for i, pkg := range []string{"a.v1", "a.v2"} {
		for _, message := range []string{"HTTPRequestEvent", "Events"} {
			kind := compile(t, `syntax = "proto3"; package `+pkg+`; message `+message+` { string a = 1; }`, pkg+"."+message)
			mustAppend(t, log, event(t, fmt.Sprint(message, i), kind, `a: "x"`))
		}
	}
	s, _, _ := session(t, log, query.Range{})
	var names []string
	for _, view := range s.DB.Views {
		if strings.HasPrefix(view.Message, "a.v") {
			names = append(names, view.Name)
		}
	}
	if want := []string{"a_v1_events", "a_v1_http_request_event", "a_v2_events", "a_v2_http_request_event"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

// TestViewsHaveDifferentNames: names of messages that become the same name in SQL keep no
// query from being answered.
func TestViewsHaveDifferentNames(t *testing.T) {
	for name, c := range map[string]struct{ messages, views []string }{
		"that of all":          {[]string{"Events"}, []string{"events_2"}},
		"dots and underscores": {[]string{"a.b.Order", "a_b.Order"}, []string{"a_b_order", "a_b_order_2"}},
		"upper and lower case": {[]string{"a.B.C", "a.b.C"}, []string{"a_B_c", "a_b_c_2"}},
		"without a package":    {[]string{"shop.Order", "x.Order", "y.ShopOrder"}, []string{"shop_order_2", "x_order", "shop_order"}},
		"a number":             {[]string{"Events", "Events_2"}, []string{"events_3", "events_2"}},
		"those of SQLite":      {[]string{"sqlite_x", "sqlite.Master", "sqlite.Events"}, []string{"message_sqlite_x", "master", "message_sqlite_events"}},
	} {
		t.Run(name, func(t *testing.T) {
			log := open(t, sqliteURL(t))
			for _, message := range c.messages {
				pkg, short := "", message
				if at := strings.LastIndexByte(message, '.'); at >= 0 {
					pkg, short = "package "+message[:at]+";", message[at+1:]
				}
				mustAppend(t, log, event(t, message, compile(t, `syntax = "proto3"; `+pkg+` message `+short+` { string a = 1; }`, message), `a: "x"`))
			}
			s, _, _ := session(t, log, query.Range{})
			for i, message := range c.messages {
				at := slices.IndexFunc(s.DB.Views, func(v query.View) bool { return v.Message == message })
				if at < 0 || s.DB.Views[at].Name != c.views[i] {
					t.Errorf("the view of %s is not %s, of %d", message, c.views[i], at)
				}
				if got := answer(t, log, "SELECT id FROM "+c.views[i]); got != `{"id":"`+message+`"}` {
					t.Errorf("%s has %s", c.views[i], got)
				}
			}
		})
	}
}

func expected(field protoreflect.FieldDescriptor, message protoreflect.Message) string {
	if field.HasPresence() && !message.Has(field) {
		return "<nil>"
	}
	value := message.Get(field)
	switch {
	case field.IsList() || field.IsMap() || field.Message() != nil && !strings.HasPrefix(string(field.Message().FullName()), "google."):
		text, err := query.AppendField(nil, field, value)
		if err != nil {
			return err.Error()
		}
		return string(text)
	case field.Message() != nil && field.Message().Name() == "Duration":
		m := value.Message()
		fields := m.Descriptor().Fields()
		number, _ := json.Marshal(float64(m.Get(fields.ByNumber(1)).Int()) + float64(m.Get(fields.ByNumber(2)).Int())/1e9)
		return string(number)
	case field.Message() != nil:
		return fmt.Sprint(value.Message().Get(field.Message().Fields().ByNumber(1)))
	case field.Kind() == protoreflect.BoolKind:
		return map[bool]string{true: "1", false: "0"}[value.Bool()]
	case field.Kind() == protoreflect.EnumKind:
		if named := field.Enum().Values().ByNumber(value.Enum()); named != nil {
			return string(named.Name())
		}
		return fmt.Sprint(value.Enum())
	case field.Kind() == protoreflect.BytesKind:
		return base64.StdEncoding.EncodeToString(value.Bytes())
	case field.Kind() == protoreflect.FloatKind || field.Kind() == protoreflect.DoubleKind:
		if math.IsNaN(value.Float()) {
			return "NaN"
		}
		number, _ := json.Marshal(value.Float())
		return string(number)
	}
	return value.String()
}

// A file that has one type of message is not filled with one that nobody has chosen.
func TestATableIsOfOneMessage(t *testing.T) {
	log := open(t, sqliteURL(t))
	if _, err := query.OpenTable(t.Context(), log, ""); err == nil || !strings.Contains(err.Error(), "neither the log nor this program knows") {
		t.Errorf("of a log without events: got %v", err)
	}
	mustAppend(t, log, event(t, "1", compile(t, orders, "shop.v1.OrderEvent"), "amount: 5"), event(t, "2", compile(t, orders, "shop.v1.StockEvent"), "left: 7"))
	if _, err := query.OpenTable(t.Context(), log, ""); err == nil || !strings.HasSuffix(err.Error(), "choose one by --message: order_event, stock_event") {
		t.Errorf("got %v, want the messages to choose from", err)
	}
	for _, name := range []string{"stock_event", "shop.v1.StockEvent"} {
		table, err := query.OpenTable(t.Context(), log, name)
		if err != nil {
			t.Fatal(err)
		}
		var rows [][]any
		for record, err := range log.Read(t.Context(), eventlog.From{}) {
			if err != nil {
				t.Fatal(err)
			}
			if table.Has(&record) {
				rows = append(rows, table.Row(&record))
			}
		}
		if len(rows) != 1 || rows[0][0] != int64(2) || rows[0][query.Attributes] != int64(7) {
			t.Errorf("%s: got %v", name, rows)
		}
	}
}

// An erased event is in no sum, as one with the defaults would be, and it is not one that
// can't be read: it is an event of which nothing is known but its attributes.
func TestErasedEventsAreOnlyInTheViewOfAll(t *testing.T) {
	kind := compile(t, orders, "shop.v1.OrderEvent")
	for name, url := range map[string]string{
		"sqlite": sqliteURL(t), "memory": "memory:", "nats": startNATS(t) + "/ORDERS?durability=none",
	} {
		t.Run(name, func(t *testing.T) {
			log := open(t, url)
			kept := event(t, "2", kind, "amount: 5")
			kept.Subject = "tom"
			mustAppend(t, log, event(t, "1", kind, paid), kept)
			if _, err := log.(eventlog.EraseLog).Erase(t.Context(), "shop", "jerry"); err != nil {
				t.Fatal(err)
			}
			if got, want := answer(t, log, "SELECT count(*) n, sum(amount) amount, count(DISTINCT user_id) users FROM order_event"), `{"n":1,"amount":5,"users":1}`; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			want := `{"id":"1","type":"order.placed","subject":"","erased":1,"known":0}` + "\n" + `{"id":"2","type":"order.placed","subject":"tom","erased":0,"known":1}`
			if name == "nats" { // its server removes the message
				_, want, _ = strings.Cut(want, "\n")
			}
			if got := answer(t, log, "SELECT id, type, subject, erased, data IS NOT NULL known FROM events ORDER BY position"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// A query that was interrupted, as by Ctrl-C in a shell, leaves the views for the next one.
func TestQueriesCanBeInterrupted(t *testing.T) {
	kind := compile(t, orders, "shop.v1.OrderEvent")
	for _, url := range []string{sqliteURL(t), "memory:"} {
		log := open(t, url)
		mustAppend(t, log, event(t, "1", kind, "amount: 5"))
		s, out, _ := session(t, log, query.Range{})
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer stop()
		if err := s.Run(ctx, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"); err == nil {
			t.Errorf("%s: a query without an end had one", url)
		}
		out.Reset()
		if err := s.Run(t.Context(), "SELECT amount FROM order_event"); err != nil || out.String() != `{"amount":5}`+"\n" {
			t.Errorf("%s: got %s (%v)", url, out, err)
		}
	}
}
