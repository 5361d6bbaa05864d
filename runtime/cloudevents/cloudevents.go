// Package cloudevents gives CloudEvents one form. The same event can come by HTTP, in which
// all attributes are text, as JSON, or as the protobuf message io.cloudevents.v1.CloudEvent,
// in which they have types; its JSON with spaces or without. In one form, an event that is
// sent again is recognised, whichever way it comes.
package cloudevents

import (
	"encoding/base64"
	"mime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Message is the full name of the message that CloudEvents have in protobuf.
const Message = "io.cloudevents.v1.CloudEvent"

// Canonical returns copies of messages of the type [Message] in one form:
//
//   - The version of an event without one is 1.0.
//   - Attributes are strings, except time, which is a timestamp, and dataschema, which is
//     a URI. The string is the one by which HTTP's headers have the value.
//   - Data is text if the attribute datacontenttype names text or JSON, a message if it is
//     application/protobuf, and binary otherwise. JSON is as [JSON] returns it. Without
//     that attribute, data stays what it is. Empty data is none.
//
// What is not as its type says, such as text that is not UTF-8, stays as it is.
func Canonical[M proto.Message](events []M) []M {
	canonical := make([]M, len(events))
	for i, event := range events {
		if canonical[i] = event; event.ProtoReflect().IsValid() {
			canonical[i] = proto.CloneOf(event)
			Rewrite(canonical[i].ProtoReflect())
		}
	}
	return canonical
}

// Is reports whether a message has the name [Message], and is declared as the
// specification of CloudEvents does.
func Is(message protoreflect.MessageDescriptor) bool {
	fields, data := message.Fields(), message.Oneofs().ByName("data")
	if message.FullName() != Message || data == nil || !has(fields, protoreflect.StringKind, "id", "source", "spec_version", "type") ||
		!has(data.Fields(), protoreflect.BytesKind, "binary_data") || !has(data.Fields(), protoreflect.StringKind, "text_data") ||
		!has(data.Fields(), protoreflect.MessageKind, "proto_data") || data.Fields().ByName("proto_data").Message().FullName() != "google.protobuf.Any" {
		return false
	}
	attributes := fields.ByName("attributes")
	if attributes == nil || !attributes.IsMap() || attributes.MapKey().Kind() != protoreflect.StringKind || attributes.MapValue().Message() == nil {
		return false
	}
	value := attributes.MapValue().Message().Oneofs().ByName("attr")
	return value != nil && has(value.Fields(), protoreflect.StringKind, "ce_string", "ce_uri") &&
		has(value.Fields(), protoreflect.MessageKind, "ce_timestamp") && value.Fields().ByName("ce_timestamp").Message().FullName() == "google.protobuf.Timestamp"
}

// has reports whether all of some fields are singular, and of a kind.
func has(fields protoreflect.FieldDescriptors, kind protoreflect.Kind, names ...protoreflect.Name) bool {
	return !slices.ContainsFunc(names, func(name protoreflect.Name) bool {
		field := fields.ByName(name)
		return field == nil || field.Kind() != kind || field.Cardinality() == protoreflect.Repeated
	})
}

// Rewrite gives a message the form that [Canonical] describes. It changes no others than
// CloudEvents.
func Rewrite(event protoreflect.Message) {
	if !Is(event.Descriptor()) {
		return
	}
	fields := event.Descriptor().Fields()
	if version := fields.ByName("spec_version"); !event.Has(version) {
		event.Set(version, protoreflect.ValueOfString("1.0"))
	}
	attributes := fields.ByName("attributes")
	contentType, schema := "", ""
	event.Get(attributes).Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
		name := key.String()
		text, ok := Text(value.Message())
		if !ok {
			return true
		}
		switch name {
		case "datacontenttype":
			contentType = text
		case "dataschema":
			schema = text
		}
		SetAttribute(value.Message(), name, text)
		return true
	})
	if data, ok := dataOf(event); ok && contentType != "" {
		setData(event, data, contentType, schema)
	}
	if data, ok := dataOf(event); ok && len(data) == 0 {
		event.Clear(event.WhichOneof(event.Descriptor().Oneofs().ByName("data")))
	}
}

// Text returns the value of an attribute of a [Message] as text: as an HTTP header has it
// before that is escaped. ok is false if there is no value.
func Text(value protoreflect.Message) (text string, ok bool) {
	field := value.WhichOneof(value.Descriptor().Oneofs().ByName("attr"))
	if field == nil {
		return "", false
	}
	switch v := value.Get(field); field.Name() {
	case "ce_boolean":
		return strconv.FormatBool(v.Bool()), true
	case "ce_integer":
		return strconv.FormatInt(v.Int(), 10), true
	case "ce_bytes":
		return base64.StdEncoding.EncodeToString(v.Bytes()), true
	case "ce_timestamp":
		of := v.Message().Descriptor().Fields()
		at := &timestamppb.Timestamp{Seconds: v.Message().Get(of.ByName("seconds")).Int(), Nanos: int32(v.Message().Get(of.ByName("nanos")).Int())}
		return at.AsTime().Format(time.RFC3339Nano), at.CheckValid() == nil
	default:
		return v.String(), true
	}
}

// SetAttribute sets the value of the attribute of that name to what text says, in the form
// of [Canonical].
func SetAttribute(value protoreflect.Message, name, text string) {
	fields := value.Descriptor().Fields()
	switch name {
	case "time":
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
			value.Clear(fields.ByName("ce_timestamp"))
			SetTime(value.Mutable(fields.ByName("ce_timestamp")).Message(), at)
			return
		}
	case "dataschema":
		value.Set(fields.ByName("ce_uri"), protoreflect.ValueOfString(text))
		return
	}
	value.Set(fields.ByName("ce_string"), protoreflect.ValueOfString(text))
}

// SetTime sets an empty google.protobuf.Timestamp.
func SetTime(timestamp protoreflect.Message, at time.Time) {
	fields := timestamp.Descriptor().Fields()
	if seconds := at.Unix(); seconds != 0 {
		timestamp.Set(fields.ByName("seconds"), protoreflect.ValueOfInt64(seconds))
	}
	if nanos := at.Nanosecond(); nanos != 0 {
		timestamp.Set(fields.ByName("nanos"), protoreflect.ValueOfInt32(int32(nanos)))
	}
}

// dataOf returns the data of an event that is binary or text. ok is false if there is
// none, or a message.
func dataOf(event protoreflect.Message) (data []byte, ok bool) {
	field := event.WhichOneof(event.Descriptor().Oneofs().ByName("data"))
	switch {
	case field == nil || field.Message() != nil:
		return nil, false
	case field.Kind() == protoreflect.StringKind:
		return []byte(event.Get(field).String()), true
	}
	return event.Get(field).Bytes(), true
}

// setData sets the data of an event.
func setData(event protoreflect.Message, data []byte, contentType, schema string) {
	fields := event.Descriptor().Fields()
	if IsJSON(contentType) {
		if canonical, err := JSON(data); err == nil {
			data = canonical
		}
	}
	switch {
	case IsProtobuf(contentType):
		held := event.Mutable(fields.ByName("proto_data")).Message()
		of := held.Descriptor().Fields()
		held.Set(of.ByName("type_url"), protoreflect.ValueOfString(schema))
		held.Set(of.ByName("value"), protoreflect.ValueOfBytes(data))
	case isText(contentType) && utf8.Valid(data):
		event.Set(fields.ByName("text_data"), protoreflect.ValueOfString(string(data)))
	default:
		event.Set(fields.ByName("binary_data"), protoreflect.ValueOfBytes(data))
	}
}

// IsJSON reports whether a content type is one of JSON.
func IsJSON(contentType string) bool {
	media := mediaType(contentType)
	return media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")
}

// IsProtobuf reports whether data of a content type is a message of protobuf, which may be
// empty.
func IsProtobuf(contentType string) bool { return mediaType(contentType) == "application/protobuf" }

// isText reports whether data of a content type is text.
func isText(contentType string) bool {
	media := mediaType(contentType)
	return IsJSON(contentType) || strings.HasPrefix(media, "text/") || media == "application/xml" || strings.HasSuffix(media, "+xml")
}

// mediaType returns a content type without its parameters, "" if it is not valid.
func mediaType(contentType string) string {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return ""
	}
	return media
}
