package eventlog

import (
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Decode returns the message of an event that was read, as [TypeOf] has its type: so it is
// what was stored, whether this program has a type for it, another one by now, or none.
func Decode(event Event) (proto.Message, error) {
	kind, err := TypeOf(event)
	if err != nil {
		return nil, err
	}
	message := kind.New().Interface()
	return message, proto.Unmarshal(event.Data, message)
}

// TypeOf returns the type of an event's message as it was when it was stored: the one that
// this program has, if that is the same, or else a dynamic one. Of an event whose version
// is not known it is the program's.
func TypeOf(event Event) (protoreflect.MessageType, error) {
	own, found := FindMessage(event.Schema) // which knows former names, too
	if !found {
		var err error
		own, err = protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(event.Schema))
		found = err == nil
	}
	if found && (event.Version == "" || versionOf(own.Descriptor()) == event.Version) {
		return own, nil
	}
	if kind, ok := dynamicTypes.Load(event.Version); ok {
		return kind.(protoreflect.MessageType), nil
	}
	schema, known := FindSchema(event.Version)
	if !known {
		return nil, fmt.Errorf("this program does not know the type %s", event.Schema)
	}
	message, err := schema.Descriptor()
	if err != nil {
		return nil, err
	}
	kind, _ := dynamicTypes.LoadOrStore(event.Version, dynamicpb.NewMessageType(message))
	return kind.(protoreflect.MessageType), nil
}

// dynamicTypes are the message types that were made of kept schemas, by their versions.
var dynamicTypes sync.Map
