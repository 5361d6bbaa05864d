package eventlogtest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// keepsSchemas: events are read with the versions that they were stored with, wherever they
// are read, and the log has what those are. An engine need not keep any.
func (e Engine) keepsSchemas(t *testing.T) {
	url := e.URL(t)
	log := open(t, url)
	if _, ok := log.(eventlog.SchemaLog); !ok {
		t.Skip("this log keeps no schemas")
	}
	if schemas := mustSchemas(t, log); len(schemas) > 0 {
		t.Errorf("an empty log has the schemas %v", versionsOf(schemas))
	}
	first, second, another := orderSchema("id"), orderSchema("id", "amount"), eventlog.SchemaOf((&durationpb.Duration{}).ProtoReflect().Descriptor())
	none := event("none")
	mustAppend(t, log, withSchema("a", first), none)
	mustAppend(t, log, withSchema("b", second))
	mustAppend(t, log, withSchema("c", another), withSchema("d", first))
	again := withSchema("a", second) // a newer program sends it once more
	if got := mustAppend(t, log, again); !got[0].Duplicate {
		t.Errorf("an event that is sent again with another version is not a duplicate: %+v", got)
	}
	wantVersions := []string{first.Version, "", second.Version, another.Version, first.Version}
	wantSchemas := []eventlog.Schema{another, first, second}
	check := func(t *testing.T, log eventlog.Log) {
		t.Helper()
		records := mustRead(t, log, eventlog.From{})
		var got []string
		for _, record := range records {
			got = append(got, record.Version)
		}
		if !slices.Equal(got, wantVersions) {
			t.Errorf("the events have the versions %q, want %q", got, wantVersions)
		}
		kept := mustSchemas(t, log)
		if !slices.EqualFunc(kept, wantSchemas, func(a, b eventlog.Schema) bool {
			return a.Name == b.Name && a.Version == b.Version && !a.Assumed && proto.Equal(a.Files, b.Files)
		}) {
			t.Errorf("the log has the schemas %v, want %v", versionsOf(kept), versionsOf(wantSchemas))
		}
		for tailed, err := range log.Tail(within(t), eventlog.After(records[1].Position)) {
			if err != nil || tailed.Version != second.Version {
				t.Errorf("a tail yields %+v (%v), want version %s", tailed, err, second.Version)
			}
			break
		}
	}
	check(t, log)
	e.keepsSchemasOfLetters(t, log, second)
	check(t, open(t, url))
	reader, err := eventlog.OpenReader(within(t), url)
	if err != nil {
		t.Fatal(err)
	}
	defer closeLog(t, reader)
	check(t, reader)
}

// sharesSchemas: what one process has stored is known to others that had the log open before,
// and what several store first at once is kept once.
func (e Engine) sharesSchemas(t *testing.T) {
	one, another := e.shared(t)
	if _, ok := one.(eventlog.SchemaLog); !ok {
		t.Skip("this log keeps no schemas")
	}
	versions := []string{orderSchema("id").Version, orderSchema("id", "shared").Version}
	for i, version := range versions {
		var group sync.WaitGroup
		for j, log := range []eventlog.Log{one, another} {
			group.Go(func() {
				event := event(fmt.Sprint(i, j))
				event.Version = version
				if _, err := log.Append(within(t), event); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for _, log := range []eventlog.Log{one, another} {
			for position, record := range mustRead(t, log, eventlog.From{}) {
				if record.Version != versions[position/2] {
					t.Errorf("the event at position %d has version %q, want %q", record.Position, record.Version, versions[position/2])
				}
			}
			if kept := mustSchemas(t, log); len(kept) != i+1 {
				t.Errorf("the log has the schemas %v, want %d", versionsOf(kept), i+1)
			}
		}
	}
}

// keepsSchemasOfLetters: a dead letter has the version of its event, which is the second
// of its schema, also when it is to be tried again.
func (e Engine) keepsSchemasOfLetters(t *testing.T, log eventlog.Log, schema eventlog.Schema) {
	t.Helper()
	hold := mustHold(t, log, "mailer")
	for _, record := range mustRead(t, log, eventlog.From{}) {
		if record.ID != "b" {
			continue
		}
		if err := hold.PutDead(within(t), eventlog.DeadLetter{Record: record, Tries: 1, Reason: "no", GaveUp: record.Recorded}); err != nil {
			t.Fatal(err)
		}
	}
	for letter, err := range log.Dead(within(t), "mailer") {
		if err != nil || letter.Version != schema.Version {
			t.Errorf("the dead letter is %+v (%v), want version %s", letter, err, schema.Version)
		}
	}
	if count, err := log.Retry(within(t), "mailer"); err != nil || count != 1 {
		t.Fatalf("%d letters are tried again, %v", count, err)
	}
	letters, err := hold.Retries(within(t))
	if err != nil || len(letters) != 1 || letters[0].Version != schema.Version {
		t.Errorf("to be tried again are %+v (%v), want version %s", letters, err, schema.Version)
	}
}

// refusesUnknownVersions: whoever has a log can read it, so nobody stores what nobody knows.
func (e Engine) refusesUnknownVersions(t *testing.T) {
	log := e.empty(t)
	unknown := event("a")
	unknown.Version = "0123456789abcdef"
	if _, err := log.Append(within(t), event("b"), unknown); !errors.Is(err, eventlog.ErrInvalid) {
		t.Errorf("an event of an unknown version of its schema: the error is %v, want ErrInvalid", err)
	}
	if got := ids(t, log); len(got) > 0 {
		t.Errorf("stored %v", got)
	}
}

// withSchema returns an event that has a version of a schema.
func withSchema(id string, schema eventlog.Schema) eventlog.Event {
	event := event(id)
	event.Schema, event.Version = schema.Name, schema.Version
	return event
}

// orderSchema returns the schema of shop.v1.OrderEvent, when it had some fields.
func orderSchema(fields ...string) eventlog.Schema {
	message := &descriptorpb.DescriptorProto{Name: proto.String("OrderEvent")}
	for i, field := range fields {
		message.Field = append(message.Field, &descriptorpb.FieldDescriptorProto{
			Name: proto.String(field), Number: proto.Int32(int32(i + 1)), JsonName: proto.String(field),
			Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		})
	}
	file := &descriptorpb.FileDescriptorProto{
		Name: proto.String("shop/v1/order.proto"), Package: proto.String("shop.v1"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{message},
	}
	made, err := protodesc.NewFile(file, nil)
	if err != nil {
		panic(err)
	}
	return eventlog.SchemaOf(made.Messages().ByName(protoreflect.Name(message.GetName())))
}

func mustSchemas(t testing.TB, log eventlog.Log) []eventlog.Schema {
	t.Helper()
	schemas, err := eventlog.Schemas(within(t), log)
	if err != nil {
		t.Fatal(err)
	}
	return schemas
}

func versionsOf(schemas []eventlog.Schema) (versions []string) {
	for _, schema := range schemas {
		versions = append(versions, schema.Name+" "+schema.Version)
	}
	return versions
}
