package file_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/file"
)

func record(t *testing.T, position eventlog.Position, message proto.Message) eventlog.Record {
	t.Helper()
	data, err := file.Encode(message)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 28, 9, 30, int(position), 5, time.UTC)
	return eventlog.Record{Position: position, Recorded: at, Event: eventlog.Event{
		ID: "id <&> é", Source: "shop", Type: "order.placed", Subject: "jerry", Time: at.Add(-time.Hour),
		Schema: string(message.ProtoReflect().Descriptor().FullName()), Data: data, Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}}
}

func same(a, b eventlog.Record) bool {
	return a.Position == b.Position && a.Recorded.Equal(b.Recorded) && a.Time.Equal(b.Time) && bytes.Equal(a.Data, b.Data) &&
		a.ID == b.ID && a.Source == b.Source && a.Type == b.Type && a.Subject == b.Subject && a.Schema == b.Schema && a.Traceparent == b.Traceparent
}

// write writes a file, and returns its URL.
func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sample.ndjson")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file:" + name
}

func read(t *testing.T, log eventlog.Log, from eventlog.From) (records []eventlog.Record) {
	t.Helper()
	for record, err := range log.Read(t.Context(), from) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	return records
}

// TestEventsAreReadBackByteForByte: those whose JSON is not all of them, too.
func TestEventsAreReadBackByteForByte(t *testing.T) {
	plain := record(t, 3, &testpb.EchoStatus{Code: 7, Message: "fine"})
	unknown := record(t, 5, &testpb.EchoStatus{Code: 7})
	unknown.Data = protowire.AppendBytes(protowire.AppendTag(unknown.Data, 1000, protowire.BytesType), []byte("new"))
	foreign := record(t, 8, &testpb.EchoStatus{})
	foreign.Schema, foreign.Data = "other.Event", []byte("what only it knows")
	want := []eventlog.Record{plain, unknown, foreign}
	var text bytes.Buffer
	for _, record := range want {
		if err := file.Write(&text, record); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(text.String(), "\n")
	if !strings.Contains(lines[0], `"data":{"code":7,`) || strings.Contains(lines[0], "base64") || !strings.Contains(lines[1], "data_base64") || !strings.Contains(lines[2], "data_base64") {
		t.Errorf("the file has\n%s", &text)
	}
	log, err := eventlog.OpenReader(t.Context(), write(t, text.String()))
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, log, eventlog.From{})
	if len(got) != len(want) {
		t.Fatalf("read %d events, want %d", len(got), len(want))
	}
	for i := range want {
		if !same(got[i], want[i]) {
			t.Errorf("read %+v, want %+v", got[i], want[i])
		}
	}
	if after := read(t, log, eventlog.After(3)); len(after) != 2 || after[0].Position != 5 {
		t.Errorf("after position 3 there is %v", after)
	}
	if since := read(t, log, eventlog.Since(foreign.Recorded)); len(since) != 1 || since[0].Position != 8 {
		t.Errorf("since the last one there is %v", since)
	}
	stats, err := log.Stats(t.Context())
	if err != nil || stats.Events != 3 || stats.First != 3 || stats.Last != 8 {
		t.Errorf("the stats are %+v, %v", stats, err)
	}
}

// TestALineByHandNeedsLittle: positions and times are made, and fields that the message has
// no longer are left out.
func TestALineByHandNeedsLittle(t *testing.T) {
	log, err := eventlog.OpenReader(t.Context(), write(t, `
{"id":"a","type":"t","dataschema":"grpc.testing.EchoStatus","data":{"code":1,"gone":true}}

{"id":"b","type":"t","dataschema":"grpc.testing.EchoStatus","data":{"code":2}}`))
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, log, eventlog.From{})
	if len(got) != 2 || got[0].Position != 1 || got[1].Position != 2 || string(got[1].Data) != "\x08\x02" {
		t.Errorf("read %+v", got)
	}
}

func TestMistakesAreReportedWithTheirLines(t *testing.T) {
	const good = `{"position":4,"id":"a","type":"t","dataschema":"grpc.testing.EchoStatus","data":{}}` + "\n"
	for text, want := range map[string]string{
		good + "not JSON": ":2: not an event in JSON",
		good + good:       ":2: position 4 comes after 4",
		`{"id":"a","type":"t","dataschema":"grpc.testing.EchoStatus","data":{}} {}`:         ":1: want one event in a line",
		`{"id":"a","type":"t","dataschema":"other.Event","data":{}}`:                        ":1: this program does not know the type other.Event",
		`{"id":"a","type":"t","dataschema":"grpc.testing.EchoStatus","data":{"code":"no"}}`: ":1: data is not a grpc.testing.EchoStatus",
		`{"type":"t","dataschema":"grpc.testing.EchoStatus","data":{}}`:                     ":1: not valid",
	} {
		if _, err := eventlog.OpenReader(t.Context(), write(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want %q", text, err, want)
		}
	}
	if _, err := eventlog.OpenReader(t.Context(), "file:no/such.ndjson"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of a file that is not there the error is %v", err)
	}
}

func TestAFileIsNotChanged(t *testing.T) {
	url := write(t, "")
	if _, err := eventlog.Open(t.Context(), url); err == nil || !strings.Contains(err.Error(), "only be read") {
		t.Errorf("opened for appending, the error is %v", err)
	}
	log, err := eventlog.OpenReader(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	changes := func() []error {
		_, appended := log.Append(t.Context(), eventlog.Event{ID: "a", Type: "t", Schema: "s"})
		_, held := log.Hold(t.Context(), "mailer")
		_, retried := log.Retry(t.Context(), "mailer")
		_, discarded := log.Discard(t.Context(), "mailer")
		return []error{appended, held, retried, discarded, log.Check(t.Context())}
	}
	for i, err := range changes() {
		if !errors.Is(err, eventlog.ErrReadOnly) {
			t.Errorf("the error of change %d is %v", i, err)
		}
	}
	for letter, err := range log.Dead(t.Context(), "") {
		t.Errorf("a dead letter: %v, %v", letter, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range log.Tail(ctx, eventlog.From{}) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a tail that is canceled ends with %v", err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for i, err := range changes() {
		if !errors.Is(err, eventlog.ErrClosed) {
			t.Errorf("closed, the error of change %d is %v", i, err)
		}
	}
}
