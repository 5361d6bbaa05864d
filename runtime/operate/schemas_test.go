package operate

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// former returns an event whose type was another one when it was stored, which by chance
// had the same fields.
func former(t *testing.T, event eventlog.Event) eventlog.Event {
	t.Helper()
	kind, err := eventlog.TypeOf(event)
	if err != nil {
		t.Fatal(err)
	}
	schema := eventlog.NewSchema(kind.Descriptor())
	schema.Version = strings.Repeat("f", 8) + schema.Version[8:]
	eventlog.RegisterSchema(schema)
	event.Version = schema.Version
	return event
}

// invoice returns a message type that this program does not have, and a message of it.
func invoice(t *testing.T) (protoreflect.MessageDescriptor, []byte) {
	t.Helper()
	field := func(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{Name: proto.String(name), JsonName: proto.String(name), Number: proto.Int32(number), Type: kind.Enum(),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("old/invoice.proto"), Package: proto.String("old"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("InvoiceEvent"), Field: []*descriptorpb.FieldDescriptorProto{
			field("amount", 1, descriptorpb.FieldDescriptorProto_TYPE_STRING), field("lines", 2, descriptorpb.FieldDescriptorProto_TYPE_INT32),
		}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	of := file.Messages().Get(0)
	message := dynamicpb.NewMessage(of)
	message.Set(of.Fields().ByName("amount"), protoreflect.ValueOfString("12 €"))
	message.Set(of.Fields().ByName("lines"), protoreflect.ValueOfInt32(3))
	data, err := proto.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	return of, data
}

// TestWhoeverHasTheLogCanReadIt: the program that stored the events had types that this one
// does not have, or has changed. It left them in the log, as if by another process.
func TestWhoeverHasTheLogCanReadIt(t *testing.T) {
	log, url := openLog(t)
	of, data := invoice(t)
	changed := eventlog.NewSchema(of) // the program's EchoStatus was an invoice once
	changed.Version, changed.Name = "00000000000000e5", string((&testpb.EchoStatus{}).ProtoReflect().Descriptor().FullName())
	changed.Files.File[0].Package, changed.Files.File[0].MessageType[0].Name = proto.String("grpc.testing"), proto.String("EchoStatus")
	mustAppend(t, log, eventlog.Event{ID: "a", Type: "t", Schema: "old.InvoiceEvent", Data: data}, eventlog.Event{ID: "b", Type: "t", Schema: changed.Name, Data: data}, known(t, "c"))
	db, err := sql.Open("sqlite", strings.TrimPrefix(url, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for number, schema := range []eventlog.Schema{eventlog.NewSchema(of), changed} {
		files, err := proto.Marshal(schema.Files)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("INSERT INTO schemas (number, name, version, files, assumed, until) VALUES (?, ?, ?, ?, 0, 100)", number+1, schema.Name, schema.Version, files); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("UPDATE events SET version = position WHERE position = ?", number+1); err != nil {
			t.Fatal(err)
		}
	}
	was := map[string]any{"amount": "12 €", "lines": 3.0}
	want := []any{was, was, "90s"}
	lines := lines(t, url, "replay")
	for i, line := range lines {
		if i >= len(want) || !reflect.DeepEqual(line["data"], want[i]) {
			t.Errorf("event %d is printed as %v", i+1, line)
		}
	}
	if len(lines) != 3 || lines[1]["schemaversion"] != changed.Version || lines[2]["schemaversion"] != nil {
		t.Errorf("it prints %v", lines)
	}
}

func TestSchemasAreListed(t *testing.T) {
	log, url := openLog(t)
	version := eventlog.SchemaOf((&durationpb.Duration{}).ProtoReflect().Descriptor()).Version
	for i, event := range []eventlog.Event{known(t, "a"), known(t, "b"), former(t, known(t, "c")), known(t, "d")} {
		if i == 1 || i == 3 {
			event.Version = version
		}
		mustAppend(t, log, event)
	}
	var got []string
	for _, line := range lines(t, url, "schemas", "list") {
		got = append(got, fmt.Sprint(line["dataschema"], " ", line["schemaversion"], " ", line["events"], " ", line["first"], "–", line["last"], " ", line["assumed"]))
	}
	of := "google.protobuf.Duration "
	want := []string{of + "<nil> 1 1–1 <nil>", of + version + " 2 2–4 <nil>", of + "ffffffff" + version[8:] + " 1 3–3 <nil>"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("it prints %q, want %q", got, want)
	}
	to := filepath.Join(t.TempDir(), "schema.binpb")
	if printed := lines(t, url, "schemas", "export", "--version", version, "--to", to); printed[0]["dataschema"] != "google.protobuf.Duration" {
		t.Errorf("it prints %v", printed)
	}
	files := &descriptorpb.FileDescriptorSet{}
	if text, err := os.ReadFile(to); err != nil || proto.Unmarshal(text, files) != nil || files.GetFile()[0].GetMessageType()[0].GetName() != "Duration" {
		t.Errorf("the file is %q, %v", text, err)
	}
	for args, want := range map[string]string{
		"--version 0123456789abcdef --to " + to: "the log has no version",
		"--version " + version:                  "say which version to write, and where",
	} {
		if _, err := run(t, url, append([]string{"schemas", "export"}, strings.Fields(args)...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want %q", args, err, want)
		}
	}
	if schemas, ok := lines(t, url, "stats")[0]["schemas"].([]any); !ok || len(schemas) != 2 {
		t.Errorf("the stats have the schemas %v, want both", schemas)
	}
}

// TestALogWithoutSchemasIsNotCalledRight: a file that was exported has none.
func TestALogWithoutSchemasIsNotCalledRight(t *testing.T) {
	log, url := openLog(t)
	mustAppend(t, log, known(t, "a"))
	name := filepath.Join(t.TempDir(), "sample.ndjson")
	lines(t, url, "export", "--to", name)
	for _, args := range [][]string{{"check"}, {"schemas", "export", "--version", "x", "--to", name + ".binpb"}} {
		if _, err := run(t, "file:"+name, args...); err == nil || !strings.Contains(err.Error(), "keeps no schemas") {
			t.Errorf("%s: %v", args, err)
		}
	}
	if got := lines(t, "file:"+name, "schemas", "list"); len(got) != 1 || got[0]["dataschema"] != "google.protobuf.Duration" || got[0]["schemaversion"] != nil {
		t.Errorf("schemas list printed %v", got)
	}
}
