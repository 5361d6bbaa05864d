package eventlog

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/timestamppb"
)

const orderFile = `
name: "shop/order.proto" package: "shop" syntax: "proto3"
dependency: "google/protobuf/timestamp.proto" dependency: "google/protobuf/duration.proto"
options { go_package: "example.com/shop" }
message_type {
  name: "Order"
  field { name: "id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "id" options { deprecated: true } }
  field { name: "item" number: 2 type: TYPE_MESSAGE type_name: ".shop.Box.Item" label: LABEL_REPEATED json_name: "item" }
  field { name: "at" number: 3 type: TYPE_MESSAGE type_name: ".google.protobuf.Timestamp" label: LABEL_OPTIONAL json_name: "at" }
  reserved_range { start: 9 end: 10 }
}
message_type {
  name: "Box"
  field { name: "wait" number: 1 type: TYPE_MESSAGE type_name: ".google.protobuf.Duration" label: LABEL_OPTIONAL json_name: "wait" }
  nested_type {
    name: "Item"
    field { name: "kind" number: 1 type: TYPE_ENUM type_name: ".shop.Kind" label: LABEL_OPTIONAL json_name: "kind" }
  }
}
enum_type { name: "Kind" value { name: "KIND_UNSPECIFIED" number: 0 } }
enum_type { name: "Other" value { name: "OTHER_UNSPECIFIED" number: 0 } }
`

// order returns the descriptor of the message of a file that was changed.
func order(t *testing.T, change func(*descriptorpb.FileDescriptorProto)) protoreflect.MessageDescriptor {
	t.Helper()
	file := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(orderFile), file); err != nil {
		t.Fatal(err)
	}
	change(file)
	made, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return made.Messages().ByName("Order")
}

func TestASchemaHasWhatItsMessageReaches(t *testing.T) {
	schema := NewSchema(order(t, func(*descriptorpb.FileDescriptorProto) {}))
	var files []string
	for _, file := range schema.Files.File {
		files = append(files, file.GetName())
	}
	if want := []string{"google/protobuf/timestamp.proto", "shop/order.proto"}; schema.Name != "shop.Order" || !slices.Equal(files, want) {
		t.Errorf("the schema of %s has the files %v, want %v", schema.Name, files, want)
	}
	message, err := schema.Descriptor()
	if err != nil {
		t.Fatal(err)
	}
	if got := message.ParentFile(); got.Enums().Len() != 1 || got.Messages().ByName("Box").Fields().Len() != 0 || !message.ReservedRanges().Has(9) {
		t.Errorf("the file is %v", protodesc.ToFileDescriptorProto(got))
	}
}

func TestAVersionChangesWithWhatItsMessageReaches(t *testing.T) {
	same := func(*descriptorpb.FileDescriptorProto) {}
	version := NewSchema(order(t, same)).Version
	for _, test := range []struct {
		about   string
		change  func(*descriptorpb.FileDescriptorProto)
		another bool
	}{
		{"nothing", same, false},
		{"an option of a generator", func(f *descriptorpb.FileDescriptorProto) { f.Options.GoPackage = proto.String("example.com/other") }, false},
		{"a deprecated field", func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].Field[0].Options = nil }, false},
		{"a comment", func(f *descriptorpb.FileDescriptorProto) {
			f.SourceCodeInfo = &descriptorpb.SourceCodeInfo{Location: []*descriptorpb.SourceCodeInfo_Location{{Path: []int32{4, 0}, Span: []int32{1, 1, 1}, LeadingComments: proto.String("An order.")}}}
		}, false},
		{"the order of fields", func(f *descriptorpb.FileDescriptorProto) { slices.Reverse(f.MessageType[0].Field) }, false},
		{"the order of types", func(f *descriptorpb.FileDescriptorProto) {
			slices.Reverse(f.MessageType)
			slices.Reverse(f.EnumType)
		}, false},
		{"another type", func(f *descriptorpb.FileDescriptorProto) { f.EnumType = f.EnumType[:1] }, false},
		{"a field of a message that is not reached", func(f *descriptorpb.FileDescriptorProto) { f.MessageType[1].Field[0].Number = proto.Int32(7) }, false},
		{"a number", func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].Field[0].Number = proto.Int32(7) }, true},
		{"a name in JSON", func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].Field[0].JsonName = proto.String("ID") }, true},
		{"a value of an enum that is reached", func(f *descriptorpb.FileDescriptorProto) {
			f.EnumType[0].Value = append(f.EnumType[0].Value, &descriptorpb.EnumValueDescriptorProto{Name: proto.String("KIND_NEW"), Number: proto.Int32(1)})
		}, true},
		{"what is reserved", func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].ReservedRange = nil }, true},
	} {
		if got := NewSchema(order(t, test.change)).Version; (got != version) != test.another {
			t.Errorf("%s: the version was %s and is %s, want another one: %t", test.about, version, got, test.another)
		}
	}
}

// TestASchemaReadsWhatIsStored by its descriptor alone, of a message that reaches itself.
func TestASchemaReadsWhatIsStored(t *testing.T) {
	sent, err := structpb.NewStruct(map[string]any{"list": []any{1.0, "two", map[string]any{"three": nil}}})
	if err != nil {
		t.Fatal(err)
	}
	data, err := proto.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	message, err := NewSchema(sent.ProtoReflect().Descriptor()).Descriptor()
	if err != nil {
		t.Fatal(err)
	}
	read := dynamicpb.NewMessage(message)
	if err := proto.Unmarshal(data, read); err != nil {
		t.Fatal(err)
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(read)
	if err != nil {
		t.Fatal(err)
	}
	back := &structpb.Struct{}
	if err := proto.Unmarshal(again, back); err != nil || !proto.Equal(back, sent) {
		t.Errorf("it was %v and is read as %v (%v)", sent, back, err)
	}
}

func TestASchemaThatIsDamagedIsAnError(t *testing.T) {
	schema := NewSchema((&structpb.Struct{}).ProtoReflect().Descriptor())
	schema.Name = "google.protobuf.Missing"
	if _, err := schema.Descriptor(); err == nil {
		t.Error("there is no error for a message that is missing")
	}
	schema.Files.File[0].MessageType[0].Name = nil
	if _, err := schema.Descriptor(); err == nil {
		t.Error("there is no error for files that can't be read")
	}
}
