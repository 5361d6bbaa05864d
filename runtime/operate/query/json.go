package query

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The JSON of messages is that of protobuf, by the names of the proto, with three
// differences that make SQL right: 64-bit integers are numbers and not texts, since SQL
// takes '50' for greater than 100; Timestamps have a fixed width, and Durations are
// seconds; and what has no presence is there, with its default, like in columns.

// JSON returns the JSON of a field's value, or of an element of it.
func JSON(field protoreflect.FieldDescriptor, value protoreflect.Value) ([]byte, error) {
	switch value.Interface().(type) {
	case protoreflect.List, protoreflect.Map:
		return appendField(nil, field, value)
	default:
		return appendValue(nil, field, value)
	}
}

// appendMessage appends the JSON of a message.
func appendMessage(text []byte, message protoreflect.Message) (_ []byte, err error) {
	switch name := message.Descriptor().FullName(); name {
	case "google.protobuf.Timestamp", "google.protobuf.Duration":
		return appendTime(text, message)
	case "google.protobuf.Any", "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue", "google.protobuf.FieldMask", "google.protobuf.Empty":
		encoded, err := protojson.MarshalOptions{AllowPartial: true}.Marshal(message.Interface())
		if err != nil { // a space in the errors of protobuf differs from one program to the next
			return nil, fmt.Errorf("a %s has no JSON: %s", name, strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0"))
		}
		compact := bytes.NewBuffer(text)
		err = json.Compact(compact, encoded)
		return compact.Bytes(), err
	default:
		if value := message.Descriptor().Fields().ByName("value"); value != nil && strings.HasPrefix(string(name), "google.protobuf.") && strings.HasSuffix(string(name), "Value") {
			return appendField(text, value, message.Get(value)) // a wrapper
		}
	}
	text = append(text, '{')
	first := true
	for fields, i := message.Descriptor().Fields(), 0; i < fields.Len(); i++ {
		field := fields.Get(i)
		if field.HasPresence() && !message.Has(field) {
			continue
		}
		if !first {
			text = append(text, ',')
		}
		first = false
		text = append(appendText(text, field.TextName()), ':')
		if text, err = appendField(text, field, message.Get(field)); err != nil {
			return nil, err
		}
	}
	return append(text, '}'), nil
}

// appendTime appends a Timestamp or a Duration.
func appendTime(text []byte, message protoreflect.Message) ([]byte, error) {
	fields := message.Descriptor().Fields()
	seconds, nanos := message.Get(fields.ByName("seconds")).Int(), message.Get(fields.ByName("nanos")).Int()
	if message.Descriptor().Name() == "Duration" {
		return appendFloat(text, float64(seconds)+float64(nanos)/1e9), nil
	}
	at, err := formatTimestamp(seconds, int32(nanos))
	if err != nil {
		return nil, err
	}
	return appendText(text, at), nil
}

// appendField appends the JSON of a field's value.
func appendField(text []byte, field protoreflect.FieldDescriptor, value protoreflect.Value) (_ []byte, err error) {
	switch {
	case field.IsList():
		text = append(text, '[')
		for list, i := value.List(), 0; i < list.Len(); i++ {
			if i > 0 {
				text = append(text, ',')
			}
			if text, err = appendValue(text, field, list.Get(i)); err != nil {
				return nil, err
			}
		}
		return append(text, ']'), nil
	case field.IsMap():
		return appendMap(text, field, value.Map())
	default:
		return appendValue(text, field, value)
	}
}

// appendMap appends a map, in the order of its keys as text.
func appendMap(text []byte, field protoreflect.FieldDescriptor, entries protoreflect.Map) (_ []byte, err error) {
	var keys []protoreflect.MapKey
	entries.Range(func(key protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, key)
		return true
	})
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return strings.Compare(a.String(), b.String()) })
	text = append(text, '{')
	for i, key := range keys {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(appendText(text, key.String()), ':')
		if text, err = appendValue(text, field.MapValue(), entries.Get(key)); err != nil {
			return nil, err
		}
	}
	return append(text, '}'), nil
}

// appendValue appends a value that is not repeated.
func appendValue(text []byte, field protoreflect.FieldDescriptor, value protoreflect.Value) ([]byte, error) {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return strconv.AppendBool(text, value.Bool()), nil
	case protoreflect.StringKind:
		return appendText(text, value.String()), nil
	case protoreflect.BytesKind:
		return append(base64.StdEncoding.AppendEncode(append(text, '"'), value.Bytes()), '"'), nil
	case protoreflect.EnumKind:
		if named := field.Enum().Values().ByNumber(value.Enum()); named != nil {
			return appendText(text, string(named.Name())), nil
		}
		return strconv.AppendInt(text, int64(value.Enum()), 10), nil
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return appendFloat(text, value.Float()), nil
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind, protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		if value.Uint() > math.MaxInt64 {
			return appendText(text, strconv.FormatUint(value.Uint(), 10)), nil
		}
		return strconv.AppendUint(text, value.Uint(), 10), nil
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return appendMessage(text, value.Message())
	default:
		return strconv.AppendInt(text, value.Int(), 10), nil
	}
}

// appendFloat appends a number, or the text by which protobuf's JSON has what is none.
func appendFloat(text []byte, number float64) []byte {
	switch {
	case math.IsNaN(number):
		return append(text, `"NaN"`...)
	case math.IsInf(number, 1):
		return append(text, `"Infinity"`...)
	case math.IsInf(number, -1):
		return append(text, `"-Infinity"`...)
	}
	return strconv.AppendFloat(text, number, 'g', -1, 64)
}

// appendText appends a text in quotation marks.
func appendText(text []byte, value string) []byte {
	if isPlain(value) {
		return append(append(append(text, '"'), value...), '"')
	}
	quoted, _ := json.Marshal(strings.ToValidUTF8(value, "\uFFFD")) // has no errors with texts
	return append(text, quoted...)
}

// isPlain reports whether a text is its own JSON.
func isPlain(text string) bool {
	for _, c := range []byte(text) {
		if c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
