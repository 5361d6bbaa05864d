package eventlog_test

import (
	"context"
	"flag"
	"iter"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// formerInt32Value returns google.protobuf.Int32Value as it never was: its value a string,
// and other fields beside it.
func formerInt32Value(t *testing.T, fields ...string) protoreflect.MessageDescriptor {
	t.Helper()
	message := &descriptorpb.DescriptorProto{Name: proto.String("Int32Value")}
	for i, name := range append([]string{"value"}, fields...) {
		message.Field = append(message.Field, &descriptorpb.FieldDescriptorProto{
			Name: proto.String(name), JsonName: proto.String(name), Number: proto.Int32(int32(i + 1)),
			Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		})
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("former.proto"), Package: proto.String("google.protobuf"), Syntax: proto.String("proto3"), MessageType: []*descriptorpb.DescriptorProto{message},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().Get(0)
}

// storeFormer appends an event whose message has all its fields set.
func storeFormer(t *testing.T, log eventlog.Log, id string, message protoreflect.MessageDescriptor) {
	t.Helper()
	m := dynamicpb.NewMessage(message)
	for i := range message.Fields().Len() {
		m.Set(message.Fields().Get(i), protoreflect.ValueOfString("12 €"))
	}
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	schema := eventlog.SchemaOf(message)
	if _, err := log.Append(t.Context(), eventlog.Event{ID: id, Type: "t", Schema: schema.Name, Version: schema.Version, Data: data}); err != nil {
		t.Fatal(err)
	}
}

// TestAProgramThatWouldMisreadIsRefused: it reports all versions at once, with how many
// events there are and where, and accepted only if that is asked for.
func TestAProgramThatWouldMisreadIsRefused(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "events.db")
	log, err := eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	eventlog.RegisterMessage[*wrapperspb.Int32Value]()
	for i := range 1234 {
		storeFormer(t, log, strconv.Itoa(i), formerInt32Value(t))
	}
	storeFormer(t, log, "with more", formerInt32Value(t, "currency"))
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	const change = "google.protobuf.Int32Value: field 1 (value) was string in 1,235 events (positions 1–1235), is int32 now: its values are not read"
	_, err = eventlog.Open(t.Context(), url)
	if want := "this program would misread stored events:\n\t" + change + "\n"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Fatalf("the error is %v, want it to begin with %s", err, want)
	}
	if !strings.Contains(err.Error(), "--accept-schema-change") {
		t.Errorf("%v: the way out is missing", err)
	}
	logged := &lines{}
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(logged, nil)))
	defer slog.SetDefault(before)
	flags := flag.NewFlagSet("shop-server", flag.ContinueOnError)
	eventlog.SchemaFlags(flags)
	defer eventlog.SchemaFlags(flag.NewFlagSet("shop-server", flag.ContinueOnError))
	if err := flags.Parse([]string{"--accept-schema-change"}); err != nil {
		t.Fatal(err)
	}
	log, err = eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if text := logged.String(); !strings.Contains(text, "level=WARN") || !strings.Contains(text, "field 1 (value) was string, is int32 now") {
		t.Errorf("it logs %s", text)
	}
}

// TestALongCheckLogsHowFarItIs: a server that reads its log first does not look as if it hung.
func TestALongCheckLogsHowFarItIs(t *testing.T) {
	defer eventlog.ReportEvery(0)()
	url := "sqlite:" + filepath.Join(t.TempDir(), "events.db")
	log, err := eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	eventlog.RegisterMessage[*wrapperspb.Int32Value]()
	for _, id := range []string{"a", "b", "c"} {
		storeFormer(t, log, id, formerInt32Value(t))
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	logged := &lines{}
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(logged, nil)))
	defer slog.SetDefault(before)
	if log, err := eventlog.Open(t.Context(), url); err == nil {
		log.Close()
		t.Error("the log is opened")
	}
	if text := logged.String(); !strings.Contains(text, "position=2 last=3") {
		t.Errorf("it logs %s", text)
	}
}

// TestAVersionThatCannotBeReadIsRefused, since nobody knows whether its events are misread.
func TestAVersionThatCannotBeReadIsRefused(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "events.db")
	log, err := eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	eventlog.RegisterMessage[*wrapperspb.Int32Value]()
	broken := eventlog.Schema{Name: "google.protobuf.Int32Value", Version: "00000000000000ff", Files: &descriptorpb.FileDescriptorSet{
		File: []*descriptorpb.FileDescriptorProto{{Name: proto.String("broken.proto"), Dependency: []string{"missing.proto"}}},
	}}
	eventlog.RegisterSchema(broken)
	if _, err := log.Append(t.Context(), eventlog.Event{ID: "1", Type: "t", Schema: broken.Name, Version: broken.Version}); err != nil {
		t.Fatal(err)
	}
	_, checked := eventlog.SchemaChanges(t.Context(), log)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	_, opened := eventlog.Open(t.Context(), url)
	for _, err := range []error{checked, opened} {
		if err == nil || !strings.Contains(err.Error(), "version 00000000000000ff of the schema of google.protobuf.Int32Value can't be read") || !strings.Contains(err.Error(), "--accept-schema-change") {
			t.Errorf("the error is %v", err)
		}
	}
	flags := flag.NewFlagSet("shop-server", flag.ContinueOnError)
	eventlog.SchemaFlags(flags)
	defer eventlog.SchemaFlags(flag.NewFlagSet("shop-server", flag.ContinueOnError))
	if err := flags.Parse([]string{"--accept-schema-change"}); err != nil {
		t.Fatal(err)
	}
	log, err = eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}

// TestDeadLettersAreMisreadToo: events that only consumers' dead letters still have count.
func TestDeadLettersAreMisreadToo(t *testing.T) {
	log, err := eventlog.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "events.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	eventlog.RegisterMessage[*wrapperspb.Int32Value]()
	storeFormer(t, log, "a", formerInt32Value(t))
	storeFormer(t, log, "b", formerInt32Value(t))
	for _, consumer := range []string{"mailer", "billing"} {
		hold, err := log.Hold(t.Context(), consumer)
		if err != nil {
			t.Fatal(err)
		}
		for record, err := range log.Read(t.Context(), eventlog.From{}) {
			if err != nil {
				t.Fatal(err)
			}
			if err := hold.PutDead(t.Context(), eventlog.DeadLetter{Record: record, Tries: 1, GaveUp: record.Recorded}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for first, want := range []int64{0: 2, 1: 2, 2: 2} { // how many events are deleted
		changes, err := eventlog.SchemaChanges(t.Context(), log)
		if err != nil || len(changes) != 1 {
			t.Fatalf("the changes are %v, %v", changes, err)
		}
		if err := eventlog.CountEvents(t.Context(), without{log.(eventlog.SchemaLog), eventlog.Position(first)}, changes); err != nil {
			t.Fatal(err)
		}
		if c := changes[0]; c.Events != want || c.First != 1 || c.Last != 2 {
			t.Errorf("with %d events deleted it counts %d (positions %d–%d), want %d", first, c.Events, c.First, c.Last, want)
		}
	}
}

// without is a log whose first events were deleted.
type without struct {
	eventlog.SchemaLog
	until eventlog.Position
}

func (w without) Read(ctx context.Context, _ eventlog.From) iter.Seq2[eventlog.Record, error] {
	return w.SchemaLog.Read(ctx, eventlog.After(w.until))
}
