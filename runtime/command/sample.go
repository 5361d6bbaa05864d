//runtime:with command.Bench

package command

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// fillSample sets the fields of a message, a few levels deep, so that it is about as large
// as one that is meant.
func fillSample(message protoreflect.Message, depth int) {
	switch message.Descriptor().FullName() {
	case "google.protobuf.Timestamp":
		message.Set(message.Descriptor().Fields().ByName("seconds"), protoreflect.ValueOfInt64(time.Now().Unix()))
		return
	case "google.protobuf.Struct":
		_ = unmarshal(`{"sample": "bench", "amount": 1}`, message.Interface())
		return
	case "google.protobuf.Any", "google.protobuf.Value", "google.protobuf.FieldMask":
		return
	}
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		oneof := field.ContainingOneof()
		switch {
		case field.Cardinality() == protoreflect.Repeated, oneof != nil && !oneof.IsSynthetic() && message.WhichOneof(oneof) != nil:
		case field.Message() != nil && depth < 3:
			fillSample(message.Mutable(field).Message(), depth+1)
		case field.Message() == nil:
			message.Set(field, sampleOf(field))
		}
	}
}

func sampleOf(field protoreflect.FieldDescriptor) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("bench")
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("bench"))
	case protoreflect.EnumKind:
		values := field.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(values.Len() - 1).Number())
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	}
	value, err := parseValue(field, protoreflect.Value{}, "1")
	if err != nil {
		return field.Default()
	}
	return value
}

// clearPath clears the field at the end of a path.
func clearPath(message protoreflect.Message, path []protoreflect.FieldDescriptor) {
	for _, field := range path[:len(path)-1] {
		if !message.Has(field) {
			return
		}
		message = message.Mutable(field).Message()
	}
	message.Clear(path[len(path)-1])
}

// appendAt appends a field at the end of a path to an encoded message: messages that come
// twice are merged.
func appendAt(message []byte, path []protoreflect.FieldDescriptor, text string) []byte {
	field := path[len(path)-1]
	var value []byte
	if field.Kind() == protoreflect.StringKind {
		value = protowire.AppendString(protowire.AppendTag(nil, field.Number(), protowire.BytesType), text)
	}
	for i := len(path) - 2; i >= 0; i-- {
		if path[i].Kind() == protoreflect.GroupKind {
			value = append(protowire.AppendTag(nil, path[i].Number(), protowire.StartGroupType), value...)
			value = protowire.AppendTag(value, path[i].Number(), protowire.EndGroupType)
			continue
		}
		value = protowire.AppendBytes(protowire.AppendTag(nil, path[i].Number(), protowire.BytesType), value)
	}
	return append(message, value...)
}
