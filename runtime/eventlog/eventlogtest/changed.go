package eventlogtest

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// refusesToMisread: a log is not opened for a program whose message type has changed so that
// it would misread events. An engine that keeps no schemas opens it.
func (e Engine) refusesToMisread(t *testing.T) {
	eventlog.RegisterMessage[*durationpb.Duration]()
	url := e.URL(t)
	log := open(t, url)
	if _, ok := log.(eventlog.SchemaLog); !ok {
		t.Skip("this log keeps no schemas")
	}
	// Duration had a text where its seconds are now, and had nanos as it has them.
	former := formerDuration(t)
	schema := eventlog.SchemaOf(former)
	nanos, seconds := dynamicpb.NewMessage(former), dynamicpb.NewMessage(former)
	nanos.Set(former.Fields().ByNumber(2), protoreflect.ValueOfInt32(7))
	seconds.Set(former.Fields().ByNumber(1), protoreflect.ValueOfString("3 s"))
	appendAs(t, log, schema, "a", nanos)
	closeLog(t, open(t, url)) // since nothing is misread
	appendAs(t, log, schema, "b", seconds)
	appendAs(t, log, schema, "c", nanos)
	appendAs(t, log, schema, "d", seconds)
	records := mustRead(t, log, eventlog.From{})
	opened, err := eventlog.Open(within(t), url)
	misread := (*eventlog.MisreadError)(nil)
	if !errors.As(err, &misread) || len(misread.Changes) != 1 {
		t.Fatalf("a log with events that would be misread: opened %v, and the error is %v", opened, err)
	}
	if c := misread.Changes[0]; c.Path != "seconds" || c.Number != 1 || c.Was != "string" || c.Is != "int64" ||
		c.Events != 2 || c.First != records[1].Position || c.Last != records[3].Position {
		t.Errorf("what would be misread is %+v", c)
	}
	unchecked, err := eventlog.OpenUnchecked(within(t), url)
	if err != nil {
		t.Fatal(err)
	}
	closeLog(t, unchecked)
}

// formerDuration returns google.protobuf.Duration as it never was.
func formerDuration(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	file := protodesc.ToFileDescriptorProto(durationpb.File_google_protobuf_duration_proto)
	file.MessageType[0].Field[0].Type = descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum()
	made, err := protodesc.NewFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return made.Messages().ByName("Duration")
}

// appendAs appends an event that has a message of a schema.
func appendAs(t *testing.T, log eventlog.Log, schema eventlog.Schema, id string, message proto.Message) {
	t.Helper()
	data, err := proto.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	event := withSchema(id, schema)
	event.Data = data
	mustAppend(t, log, event)
}
