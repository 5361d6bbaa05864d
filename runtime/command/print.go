package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/terminal"
)

// printReply prints a reply, raw if it is one of those that could not be read.
func (p *parsed) printReply(stdout io.Writer, replies *codec, reply proto.Message, oneLine bool) error {
	var text string
	var err error
	if raw, ok := replies.take(reply); ok {
		text, err = rawLine(reply, raw.data, raw.reason)
	} else if p.printer != nil {
		return p.printer(reply)
	} else {
		text, err = format(reply, p.json, oneLine)
	}
	if err != nil {
		return err
	}
	return write(stdout, text)
}

// write prints a text in one Write. Everything on the standard output is printed
// by it, so that a reply is never printed in part.
func write(stdout io.Writer, text string) error {
	if _, err := io.WriteString(stdout, text); err != nil {
		return fmt.Errorf("writing to the standard output: %w", err)
	}
	return nil
}

// format returns a reply as text. If it has an integer field named status and a
// string field named message, the text is "client status: 0 received: Hello,
// jerry!", in one line whatever the message is. Otherwise, or if asJSON is set, it
// is protobuf JSON. The JSON of a reply is always the same text, and has zero
// values, where a script looks for them: only fields with presence are left out
// when they are unset. A reply that has no JSON is shown raw, see [rawLine].
func format(reply proto.Message, asJSON, oneLine bool) (string, error) {
	if !asJSON {
		if text, ok := greeting(reply.ProtoReflect()); ok {
			return terminal.Text(text) + "\n", nil
		}
	}
	raw, err := protojson.MarshalOptions{AllowPartial: true, EmitDefaultValues: true}.Marshal(reply)
	if err != nil {
		data, marshal := proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(reply)
		if marshal != nil {
			return "", fmt.Errorf("the reply can't be printed: %w", readableError(marshal))
		}
		return rawLine(reply, data, readableError(err))
	}
	var text bytes.Buffer // laid out again, because protojson's white space differs between programs
	if oneLine {
		err = json.Compact(&text, raw)
	} else {
		err = json.Indent(&text, raw, "", "  ")
	}
	return string(terminal.JSON(text.Bytes())) + "\n", err
}

// rawLine returns a reply that can't be shown as what it is, in a line of JSON: its
// position, if it has one, its type, its bytes, and why. So one event that has no
// JSON, such as one with NaN in a Struct, does not end a stream of them.
func rawLine(reply proto.Message, data []byte, reason error) (string, error) {
	message := reply.ProtoReflect()
	raw := struct {
		Position any    `json:"position,omitempty"`
		Type     string `json:"type"`
		Data     []byte `json:"data_base64"`
		Error    string `json:"error"`
	}{Type: string(message.Descriptor().FullName()), Data: data, Error: reason.Error()}
	if position := message.Descriptor().Fields().ByName("position"); isInteger(position) && message.Has(position) {
		raw.Position = message.Get(position).Interface()
	}
	text, err := json.Marshal(raw)
	return string(terminal.JSON(text)) + "\n", err
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
