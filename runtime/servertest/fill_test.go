package servertest

import (
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// links are messages that require themselves, or hold one that does.
const links = `
name: "links.proto" package: "links" syntax: "proto2"
message_type { name: "Link" field { name: "next" number: 1 type: TYPE_MESSAGE type_name: ".links.Link" label: LABEL_REQUIRED } }
message_type { name: "Ring" field { name: "half" number: 1 type: TYPE_MESSAGE type_name: ".links.Half" label: LABEL_REQUIRED } }
message_type { name: "Half" field { name: "ring" number: 1 type: TYPE_MESSAGE type_name: ".links.Ring" label: LABEL_REQUIRED } }
message_type {
  name: "Tree"
  field { name: "leaf" number: 1 type: TYPE_MESSAGE type_name: ".links.Leaf" label: LABEL_REQUIRED }
  field { name: "more" number: 2 type: TYPE_MESSAGE type_name: ".links.Tree" label: LABEL_REPEATED }
  field { name: "link" number: 3 type: TYPE_MESSAGE type_name: ".links.Link" label: LABEL_OPTIONAL }
  field { name: "rings" number: 4 type: TYPE_MESSAGE type_name: ".links.Ring" label: LABEL_REPEATED }
  field { name: "halves" number: 5 type: TYPE_MESSAGE type_name: ".links.Tree.HalvesEntry" label: LABEL_REPEATED }
  nested_type {
    name: "HalvesEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
    field { name: "value" number: 2 type: TYPE_MESSAGE type_name: ".links.Half" label: LABEL_OPTIONAL }
  }
}
message_type {
  name: "Leaf"
  field { name: "name" number: 1 type: TYPE_STRING label: LABEL_REQUIRED }
  field { name: "tree" number: 2 type: TYPE_MESSAGE type_name: ".links.Tree" label: LABEL_OPTIONAL }
}`

func TestASampleEndsThoughMessagesRequireThemselves(t *testing.T) {
	text := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(links), text); err != nil {
		t.Fatal(err)
	}
	file, err := protodesc.NewFile(text, new(protoregistry.Files))
	if err != nil {
		t.Fatal(err)
	}
	for name, valid := range map[protoreflect.Name]bool{"Link": false, "Ring": false, "Half": false, "Tree": true, "Leaf": true} {
		message := dynamicpb.NewMessage(file.Messages().ByName(name))
		filler{endless: map[protoreflect.FullName]bool{}}.fill(message, maxDepth)
		if err := proto.CheckInitialized(message); (err == nil) != valid {
			t.Errorf("the sample of %s is valid: %t (%v), want %t", name, err == nil, err, valid)
		}
		if name == "Tree" {
			for field, want := range map[protoreflect.Name]bool{"leaf": true, "more": true, "link": false, "rings": false, "halves": false} {
				if got := message.Has(message.Descriptor().Fields().ByName(field)); got != want {
					t.Errorf("a Tree has %s: %t, want %t", field, got, want)
				}
			}
		}
	}
}

// A unique field gets a value of its own kind, and another one each time.
func TestUniqueFields(t *testing.T) {
	for _, wrapper := range []proto.Message{
		&wrapperspb.Int32Value{}, &wrapperspb.Int64Value{}, &wrapperspb.UInt32Value{}, &wrapperspb.UInt64Value{},
		&wrapperspb.FloatValue{}, &wrapperspb.DoubleValue{}, &wrapperspb.BytesValue{}, &wrapperspb.StringValue{},
	} {
		message := wrapper.ProtoReflect()
		field := message.Descriptor().Fields().ByName("value")
		f := filler{unique: []string{string(field.FullName())}, endless: map[protoreflect.FullName]bool{}}
		f.fill(message, maxDepth) // panics with a value of another kind
		first := message.Get(field)
		f.fill(message, maxDepth)
		if !message.Has(field) || message.Get(field).Equal(first) {
			t.Errorf("%s is %v, after %v", field.FullName(), message.Get(field), first)
		}
	}
}
