package command

import (
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// descriptorOf compiles a proto of testdata and returns one of its messages.
func descriptorOf(t *testing.T, file string, message protoreflect.Name) protoreflect.MessageDescriptor {
	t.Helper()
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(
		&protocompile.SourceResolver{ImportPaths: []string{"testdata"}},
	)}
	files, err := compiler.Compile(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	descriptor := files[0].Messages().ByName(message)
	if descriptor == nil {
		t.Fatalf("%s has no message %s", file, message)
	}
	return descriptor
}

// messageOf makes a message of a proto of testdata from its JSON.
func messageOf(t *testing.T, descriptor protoreflect.MessageDescriptor, json string) proto.Message {
	t.Helper()
	message := dynamicpb.NewMessage(descriptor)
	if err := (protojson.UnmarshalOptions{AllowPartial: true}).Unmarshal([]byte(json), message); err != nil {
		t.Fatal(err)
	}
	return message
}

// flagsOf makes a flag for each field of a message.
func flagsOf(descriptor protoreflect.MessageDescriptor) []Flag {
	var flags []Flag
	for i := range descriptor.Fields().Len() {
		name := string(descriptor.Fields().Get(i).Name())
		flags = append(flags, Flag{Name: name, Field: name})
	}
	return flags
}

// commandOf returns a command with a flag for each field of its request. Its call
// does nothing.
func commandOf(descriptor protoreflect.MessageDescriptor) Command {
	return Command{
		Name:  "send",
		Flags: flagsOf(descriptor),
		Call:  Call{request: func() proto.Message { return dynamicpb.NewMessage(descriptor) }, do: once(answer(nil, nil))},
	}
}
