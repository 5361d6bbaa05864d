package nats_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// TestALogOfBeforeGetsSchemas of what the first program that opens it knows, marked as
// assumed, and later of what another one knows.
func TestALogOfBeforeGetsSchemas(t *testing.T) {
	s := start(t, &server.Options{})
	eventlog.RegisterMessage[*durationpb.Duration]("shop.v1.Pause")
	duration := eventlog.SchemaOf((&durationpb.Duration{}).ProtoReflect().Descriptor())
	url := "nats://" + hosts(s) + "/" + newStream() + "?durability=none"
	appended := func(log eventlog.Log, schema, version string) {
		t.Helper()
		one := event(fmt.Sprint(schema, version, len(versions(t, log))))
		one.Schema, one.Version = schema, version
		if _, err := log.Append(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	log := open(t, url)
	for _, schema := range []string{"google.protobuf.Duration", "shop.v1.Pause", "shop.v1.Later"} {
		appended(log, schema, "")
	}
	js, name := connect(t, url) // as the version before has left it
	consumers, err := js.Stream(t.Context(), name+"_consumers")
	if err != nil {
		t.Fatal(err)
	}
	if err := consumers.Purge(t.Context(), jetstream.WithPurgeSubject(name+"_consumers.assumed")); err != nil {
		t.Fatal(err)
	}
	reader, err := eventlog.OpenReader(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if got, want := versions(t, reader), []string{"", "", ""}; !slices.Equal(got, want) {
		t.Errorf("before a program has opened it, the events have the versions %q", got)
	}
	log = open(t, url)
	appended(log, "google.protobuf.Duration", "") // not of before
	appended(log, "google.protobuf.Duration", duration.Version)
	if got, want := versions(t, log), []string{duration.Version, duration.Version, "", "", duration.Version}; !slices.Equal(got, want) {
		t.Errorf("the events have the versions %q, want %q", got, want)
	}
	schemas, err := eventlog.Schemas(t.Context(), log)
	if err != nil || len(schemas) != 1 || !schemas[0].Assumed || schemas[0].Version != duration.Version || !proto.Equal(schemas[0].Files, duration.Files) {
		t.Errorf("the schemas are %v (%v), want that of a Duration, assumed", schemas, err)
	}
	eventlog.RegisterMessage[*emptypb.Empty]("shop.v1.Later")
	empty := eventlog.SchemaOf((&emptypb.Empty{}).ProtoReflect().Descriptor())
	log = open(t, url)
	if got := versions(t, log); got[0] != duration.Version || got[2] != empty.Version {
		t.Errorf("the events have the versions %q, want that of an Empty for the third", got)
	}
	if schemas, err := eventlog.Schemas(t.Context(), log); err != nil || len(schemas) != 2 || schemas[1].Version != empty.Version || !schemas[1].Assumed {
		t.Errorf("the schemas are %v (%v), want two", schemas, err)
	}
	removeFirst(t, url, 4) // all of before, and one: the last event has the version of a Duration
	if schemas, err := eventlog.Schemas(t.Context(), log); err != nil || len(schemas) != 1 || schemas[0].Version != duration.Version {
		t.Errorf("without the events of before the schemas are %v (%v), want one", schemas, err)
	}
}

// TestASchemaOfAnotherProcessIsFound when an event has it. One that is gone is not known, and
// its event is read all the same.
func TestASchemaOfAnotherProcessIsFound(t *testing.T) {
	s := start(t, &server.Options{})
	url := "nats://" + hosts(s) + "/" + newStream() + "?durability=none"
	log := open(t, url)
	js, name := connect(t, url)
	publish := func(subject string, data []byte, header nats.Header) {
		t.Helper()
		if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: data, Header: header}); err != nil {
			t.Fatal(err)
		}
	}
	const kept, gone = "00000000000000aa", "00000000000000bb"
	files := eventlog.NewSchema((&emptypb.Empty{}).ProtoReflect().Descriptor()).Files
	data, err := proto.Marshal(files)
	if err != nil {
		t.Fatal(err)
	}
	publish(name+"_consumers.schema."+kept, data, nats.Header{"schema-message": {"google.protobuf.Empty"}})
	for _, version := range []string{kept, gone, gone} {
		publish(name+".0.shop", nil, nats.Header{"ce-id": {"a"}, "ce-type": {"t"}, "ce-dataschema": {"google.protobuf.Empty"}, "ce-schemaversion": {version}})
	}
	if got := versions(t, log); !slices.Equal(got, []string{kept, "", ""}) {
		t.Errorf("the events have the versions %q", got)
	}
	if schema, found := eventlog.FindSchema(kept); !found || schema.Name != "google.protobuf.Empty" || !proto.Equal(schema.Files, files) {
		t.Errorf("the schema is %v, %t", schema, found)
	}
}

// TestASchemaWhoseEventsAreGoneIsNotListed, unless a dead letter has it.
func TestASchemaWhoseEventsAreGoneIsNotListed(t *testing.T) {
	s := start(t, &server.Options{JetStreamLimits: server.JSLimitOpts{MaxBatchSize: maxBatch}})
	url := "nats://" + hosts(s) + "/" + newStream() + "?durability=none&timeout=1m" // for large batches
	log := open(t, url)
	old, next := eventlog.SchemaOf((&emptypb.Empty{}).ProtoReflect().Descriptor()), eventlog.SchemaOf((&durationpb.Duration{}).ProtoReflect().Descriptor())
	one := event("a")
	one.Version = old.Version
	if _, err := log.Append(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	last := eventlog.Position(0)
	for i := range 3 {
		events := make([]eventlog.Event, maxBatch)
		for j := range events {
			events[j] = event(fmt.Sprint(i, "/", j))
			events[j].Version = next.Version
		}
		receipts, err := log.Append(t.Context(), events...)
		if err != nil {
			t.Fatal(err)
		}
		last = receipts[len(receipts)-1].Position
	}
	check := func(when string, want ...string) {
		t.Helper()
		schemas, err := eventlog.Schemas(t.Context(), log)
		var got []string
		for _, schema := range schemas {
			got = append(got, schema.Version)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s the schemas are %q (%v), want %q", when, got, err, want)
		}
	}
	check("with all events", next.Version, old.Version)
	removeFirst(t, url, 1)
	check("soon after the last event was deleted", next.Version, old.Version)
	removeFirst(t, url, last-1)
	check("later", next.Version)
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	letter := eventlog.DeadLetter{Record: eventlog.Record{Event: one, Position: 1, Recorded: time.Now()}, Reason: "no", GaveUp: time.Now()}
	if err := hold.PutDead(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	check("with a dead letter", next.Version, old.Version)
}

func versions(t *testing.T, log eventlog.Log) (versions []string) {
	t.Helper()
	for record, err := range log.Read(t.Context(), eventlog.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, record.Version)
	}
	return versions
}
