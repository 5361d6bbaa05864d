package sqlite

import (
	"testing"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// TestASchemaIsKeptAsLongAsItsEvents, and its row for longer: it may come again.
func TestASchemaIsKeptAsLongAsItsEvents(t *testing.T) {
	log := mustOpen(t, newURL(t))
	old, next := eventlog.SchemaOf((&timestamppb.Timestamp{}).ProtoReflect().Descriptor()), eventlog.SchemaOf((&emptypb.Empty{}).ProtoReflect().Descriptor())
	versioned := func(id string, schema eventlog.Schema) eventlog.Event {
		event := event(id)
		event.Schema, event.Version = schema.Name, schema.Version
		return event
	}
	mustAppend(t, log, versioned("a", old), versioned("b", next))
	check := func(want ...string) {
		t.Helper()
		schemas, err := log.Schemas(t.Context())
		var got []string
		for _, schema := range schemas {
			got = append(got, schema.Version)
		}
		if err != nil || len(got) != len(want) || got[0] != want[0] || got[len(got)-1] != want[len(want)-1] {
			t.Errorf("the schemas are %q (%v), want %q", got, err, want)
		}
	}
	check(next.Version, old.Version)
	// As if thousands of events of the second schema had come and all before them gone.
	onDatabase(t, log.path, "UPDATE events SET position = position + 10000; UPDATE schemas SET until = until + 10000 WHERE name LIKE '%Empty'")
	check(next.Version)
	mustAppend(t, log, versioned("c", old))
	check(next.Version, old.Version)
	if records := mustRead(t, log, 0); records[0].Version != old.Version || records[2].Version != old.Version {
		t.Errorf("the events have the versions %q and %q, want %q", records[0].Version, records[2].Version, old.Version)
	}
}

// TestASchemaOfATransactionThatFailsIsStoredWithTheNext: what a writer remembers to be in
// the file is only what is.
func TestASchemaOfATransactionThatFailsIsStoredWithTheNext(t *testing.T) {
	log := mustOpen(t, newURL(t))
	schema := eventlog.SchemaOf((&emptypb.Empty{}).ProtoReflect().Descriptor())
	one := event("a")
	one.Schema, one.Version = schema.Name, schema.Version
	onDatabase(t, log.path, "CREATE TRIGGER fails BEFORE INSERT ON events BEGIN SELECT raise(ABORT, 'no'); END")
	if _, err := log.Append(t.Context(), one); err == nil {
		t.Fatal("the append does not fail")
	}
	onDatabase(t, log.path, "DROP TRIGGER fails")
	mustAppend(t, log, one)
	if schemas, err := log.Schemas(t.Context()); err != nil || len(schemas) != 1 {
		t.Errorf("the schemas are %v, %v", schemas, err)
	}
	if records := mustRead(t, log, 0); records[0].Version != schema.Version {
		t.Errorf("the event has the version %q, want %q", records[0].Version, schema.Version)
	}
}
