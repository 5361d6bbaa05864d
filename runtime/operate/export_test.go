package operate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/file"
)

// carrying returns an event with a message.
func carrying(t *testing.T, id, kind, subject string, message proto.Message) eventlog.Event {
	t.Helper()
	data, err := file.Encode(message)
	if err != nil {
		t.Fatal(err)
	}
	return eventlog.Event{ID: id, Source: "shop", Type: kind, Subject: subject, Schema: string(message.ProtoReflect().Descriptor().FullName()), Data: data}
}

// exported returns the events of a log as export writes them, and the text of its file.
func exported(t *testing.T, url string, args ...string) (records []eventlog.Record, text string) {
	t.Helper()
	to := filepath.Join(t.TempDir(), "sample.ndjson")
	printed, err := run(t, url, append([]string{"export", "--to", to}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.OpenReader(t.Context(), "file:"+to)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for record, err := range log.Read(t.Context(), eventlog.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	if want := fmt.Sprintf(`"exported":%d`, len(records)); !strings.Contains(printed, want) {
		t.Errorf("it prints %s, want %s", printed, want)
	}
	content, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return records, string(content)
}

func TestExportedEventsAreThoseOfTheLog(t *testing.T) {
	log, url := openLog(t)
	mustAppend(t, log, known(t, "a"), carrying(t, "b", "order.paid", "tom", &testpb.EchoStatus{Code: 3}))
	records, _ := exported(t, url)
	i := 0
	for want, err := range log.Read(t.Context(), eventlog.From{}) {
		if err != nil || i >= len(records) {
			t.Fatalf("%d events, %v", len(records), err)
		}
		if got := records[i]; got.Position != want.Position || !got.Recorded.Equal(want.Recorded) || !got.Time.Equal(want.Time) || !got.Same(&want.Event) {
			t.Errorf("exported %+v, want %+v", got, want)
		}
		i++
	}
	if records, _ := exported(t, url, "--type", "order.paid"); len(records) != 1 || records[0].ID != "b" {
		t.Errorf("of the type order.paid there are %v", records)
	}
	if records, _ := exported(t, url, "--after", "1"); len(records) != 1 || records[0].ID != "b" {
		t.Errorf("after the first one there are %v", records)
	}
}

func TestASampleHasOfEachType(t *testing.T) {
	log, url := openLog(t)
	for i := range 200 {
		kind := "often"
		if i%100 == 0 {
			kind = "seldom"
		}
		event := known(t, fmt.Sprint(i))
		event.Type = kind
		mustAppend(t, log, event)
	}
	records, _ := exported(t, url, "--sample", "10")
	types, last := map[string]int{}, eventlog.Position(0)
	for _, record := range records {
		types[record.Type]++
		if record.Position <= last {
			t.Errorf("position %d comes after %d", record.Position, last)
		}
		last = record.Position
	}
	if types["seldom"] != 2 || types["often"] != 8 {
		t.Errorf("the sample has %v, want both that are seldom and 8 of the others", types)
	}
}

func TestRedactedValuesAreGone(t *testing.T) {
	for name, version := range map[string]func(*testing.T, eventlog.Event) eventlog.Event{
		"types of the program": func(_ *testing.T, event eventlog.Event) eventlog.Event { return event },
		"types of the log":     former,
	} {
		t.Run(name, func(t *testing.T) { testRedaction(t, version) })
	}
}

// testRedaction redacts events of some version of their schemas.
func testRedaction(t *testing.T, version func(*testing.T, eventlog.Event) eventlog.Event) {
	log, url := openLog(t)
	nested, err := anypb.New(&testpb.EchoStatus{Message: "to jerry@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	context, err := structpb.NewStruct(map[string]any{"mail": "jerry@example.org", "age": 41, "friends": []any{map[string]any{"name": "thomas"}}})
	if err != nil {
		t.Fatal(err)
	}
	hidden := carrying(t, "b", "t", "jerry@example.org", &testpb.EchoStatus{Code: 41, Message: "mail from jerry@example.org"})
	hidden.Data = protowire.AppendString(protowire.AppendTag(hidden.Data, 1000, protowire.BytesType), "jerry@example.org")
	for _, event := range []eventlog.Event{
		hidden,
		carrying(t, "c", "t", "jerry@example.org", nested),
		carrying(t, "d", "t", "", context),
		carrying(t, "e", "t", "someone else", &testpb.SimpleRequest{ResponseSize: 41, FillUsername: true, Payload: &testpb.Payload{Body: []byte("thomas")}}),
		carrying(t, "f", "t", "nobody", &testpb.LoadBalancerStatsResponse{RpcsByPeer: map[string]int32{"a": 41}}),
	} {
		mustAppend(t, log, version(t, event))
	}
	records, text := exported(t, url, "--redact", "subject,data.code,data.mail,data.age,data.friends.name,data.response_size,data.fill_username,data.payload,data.rpcs_by_peer")
	for _, gone := range []string{"jerry", ":41,", ":41}", "thomas", "someone", "dGhvbWFz", "base64", "true"} {
		if strings.Contains(text, gone) {
			t.Errorf("%q is left in\n%s", gone, text)
		}
	}
	if len(records) != 5 || records[0].Subject != records[1].Subject || records[0].Subject == records[3].Subject || !strings.HasSuffix(records[0].Subject, "@example.com") {
		t.Errorf("the subjects are not consistent in\n%s", text)
	}
	if want := `"message":"mail from ` + records[0].Subject + `"`; !strings.Contains(text, want) {
		t.Errorf("want %s in\n%s", want, text)
	}
	again, _ := exported(t, url, "--redact", "subject")
	if again[0].Subject == records[0].Subject {
		t.Error("two runs have the same replacement: who knows one value knows it in all files")
	}
}

// TestNothingIsWrittenIfItCantBeRedacted: a field that is misspelt would stay in the file.
func TestNothingIsWrittenIfItCantBeRedacted(t *testing.T) {
	log, url := openLog(t)
	mustAppend(t, log, carrying(t, "a", "t", "jerry", &testpb.EchoStatus{Message: "jerry"}))
	to := filepath.Join(t.TempDir(), "sample.ndjson")
	if err := os.WriteFile(to, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"--redact data.mesage":              "--redact data.mesage: no event has that field: grpc.testing.EchoStatus has code, message",
		"--redact data.message.first":       "no event has that field",
		"--redact email":                    "--redact email: want id, source, subject, or a field of the message after data.",
		"--redact data.message --sample -1": "--sample -1: want a number of events",
		"--after 1 --since 1h":              "exclude each other",
	} {
		if _, err := run(t, url, append([]string{"export", "--to", to}, strings.Fields(args)...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want %q", args, err, want)
		}
	}
	unknown := known(t, "b")
	unknown.Schema = "other.Event"
	mustAppend(t, log, unknown)
	if _, err := run(t, url, "export", "--to", to, "--redact", "subject"); err == nil || !strings.Contains(err.Error(), "the event at position 2 can't be redacted: this program does not know the type other.Event") {
		t.Errorf("of a type that is not known the error is %v", err)
	}
	if _, err := run(t, url, "export"); err == nil || !strings.Contains(err.Error(), "--to is missing") {
		t.Errorf("without a file the error is %v", err)
	}
	files, err := os.ReadDir(filepath.Dir(to))
	if text, _ := os.ReadFile(to); err != nil || string(text) != "before" || len(files) != 1 {
		t.Errorf("the file is %q, beside %d others, %v", text, len(files)-1, err)
	}
}

func TestExportWritesCSV(t *testing.T) {
	eventlog.RegisterMessage[*durationpb.Duration]()
	log, url := openLog(t)
	quoted, later := known(t, `say "a", b`), known(t, "c")
	later.Type = "order.paid"
	mustAppend(t, log, quoted, later)
	file := filepath.Join(t.TempDir(), "durations.csv")
	out, err := run(t, url, "export", "--format", "csv", "--message", "duration", "--type", "order.placed", "--to", file)
	if err != nil || !strings.Contains(out, `"exported":1`) {
		t.Fatalf("got %s (%v)", out, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	if lines[0] != "position,recorded,source,id,type,subject,time,seconds,nanos" {
		t.Errorf("the first line is %s", lines[0])
	}
	if len(lines) != 3 || !strings.HasPrefix(lines[1], "1,") || !strings.Contains(lines[1], `,shop,"say ""a"", b",order.placed,jerry,`) || !strings.HasSuffix(lines[1], ",90,0") {
		t.Errorf("got %q", lines)
	}
}

func TestExportRefusesAFormatThatItDoesNotHave(t *testing.T) {
	_, url := openLog(t)
	for format, want := range map[string]string{
		"xml":     "--format xml: want csv, ndjson",
		"parquet": `import _ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate/parquet" in its main, and generate again`,
	} {
		if _, err := run(t, url, "export", "--to", "x", "--format", format); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
