package command

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// format is the text of a reply: "client status: 0 received: Hello, jerry!" if
// it has an integer field named status and a string field named message,
// protobuf JSON if it does not or asJSON asks for it. The JSON of a reply is
// always the same text, and says zero where a script would look for it: only
// fields that tell unset from zero are left out when they are unset.
func format(reply proto.Message, asJSON, oneLine bool) (string, error) {
	if !asJSON {
		if text, ok := greeting(reply.ProtoReflect()); ok {
			return text + "\n", nil
		}
	}
	raw, err := protojson.MarshalOptions{AllowPartial: true, EmitDefaultValues: true}.Marshal(reply)
	if err != nil {
		return "", fmt.Errorf("the reply can't be shown as JSON: %w", explainProto(err))
	}
	var text bytes.Buffer // protojson's white space differs from program to program
	if oneLine {
		err = json.Compact(&text, raw)
	} else {
		err = json.Indent(&text, raw, "", "  ")
	}
	return text.String() + "\n", err
}

func greeting(reply protoreflect.Message) (string, bool) {
	fields := reply.Descriptor().Fields()
	status, message := fields.ByName("status"), fields.ByName("message")
	if !isInteger(status) || message == nil || message.IsList() || message.Kind() != protoreflect.StringKind {
		return "", false
	}
	return fmt.Sprintf("client status: %d received: %s", reply.Get(status).Interface(), reply.Get(message).String()), true
}

func isInteger(field protoreflect.FieldDescriptor) bool {
	if field == nil || field.IsList() {
		return false
	}
	switch field.Kind() {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind, protoreflect.Uint32Kind, protoreflect.Fixed32Kind,
		protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return true
	}
	return false
}
