package command

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// format returns a reply as text. If it has an integer field named status and a
// string field named message, the text is "client status: 0 received: Hello,
// jerry!". Otherwise, or if asJSON is set, it is protobuf JSON. The JSON of a
// reply is always the same text, and has zero values, where a script looks for
// them: only fields with presence are left out when they are unset.
func format(reply proto.Message, asJSON, oneLine bool) (string, error) {
	if !asJSON {
		if text, ok := greeting(reply.ProtoReflect()); ok {
			return text + "\n", nil
		}
	}
	raw, err := protojson.MarshalOptions{AllowPartial: true, EmitDefaultValues: true}.Marshal(reply)
	if err != nil {
		return "", fmt.Errorf("the reply can't be printed as JSON: %w", readableError(err))
	}
	var text bytes.Buffer // laid out again, because protojson's white space differs between programs
	if oneLine {
		err = json.Compact(&text, raw)
	} else {
		err = json.Indent(&text, raw, "", "  ")
	}
	return text.String() + "\n", err
}

// greeting returns a reply in the form of the Receiver demo, if it has the fields.
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
