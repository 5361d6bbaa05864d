package operate

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// TestCheckFailsIfEventsWouldBeMisread: also beside a server that is running. It prints what
// is safe, too.
func TestCheckFailsIfEventsWouldBeMisread(t *testing.T) {
	log, url := openLog(t)
	eventlog.RegisterMessage[*wrapperspb.BoolValue]()
	mustAppend(t, log, known(t, "a"))
	if out, err := run(t, url, "check"); err != nil || out != "" {
		t.Fatalf("a log with which nothing is wrong: %q, %v", out, err)
	}
	// BoolValue had a list of texts where its value is, and a note beside it.
	field := func(name string, number int32, label descriptorpb.FieldDescriptorProto_Label) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{Name: proto.String(name), JsonName: proto.String(name), Number: proto.Int32(number), Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: label.Enum()}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("former.proto"), Package: proto.String("google.protobuf"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("BoolValue"), Field: []*descriptorpb.FieldDescriptorProto{
			field("value", 1, descriptorpb.FieldDescriptorProto_LABEL_REPEATED), field("note", 2, descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL),
		}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	schema := eventlog.SchemaOf(file.Messages().Get(0))
	for id, data := range map[string]string{"b": "\n\x01x\x12\x01y", "c": "\x12\x01y"} {
		mustAppend(t, log, eventlog.Event{ID: id, Type: "t", Schema: schema.Name, Version: schema.Version, Data: []byte(data)})
	}
	out, err := run(t, url, "check")
	if misread := (*eventlog.MisreadError)(nil); !errors.As(err, &misread) || len(misread.Changes) != 1 {
		t.Errorf("the error is %v", err)
	}
	var got [][]any
	for line := range strings.Lines(out) {
		var c changeLine
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		got = append(got, []any{c.Schema, c.Versions[0], c.Field, c.Number, c.Was, c.Is, string(c.Wire), string(c.JSON), c.Events})
	}
	of := "google.protobuf.BoolValue"
	want := [][]any{
		{of, schema.Version, "value", int32(1), "repeated string", "bool", "misreads", "misreads", int64(1)},
		{of, schema.Version, "note", int32(2), "string", "", "safe", "safe", int64(2)},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("it prints %v, want %v", got, want)
	}
	if _, err := eventlog.Open(t.Context(), url); err == nil {
		t.Error("the server starts")
	}
	defer eventlog.SchemaFlags(flag.NewFlagSet("", flag.ContinueOnError)) // which forgets it
	variable := func(name string) string { return map[string]string{"SHOP_SERVER_ACCEPT_SCHEMA_CHANGE": "true"}[name] }
	if _, err := server.Parse("shop-server", nil, variable, io.Discard); err != nil {
		t.Fatal(err)
	}
	accepted, err := eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatalf("with --accept-schema-change, the server does not start: %v", err)
	}
	defer accepted.Close()
}
