package compat

import (
	"fmt"
	"math/big"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// encoding is how the values of a kind are written on the wire. Values of kinds with one
// encoding are read as each other's, as far as their ranges allow.
type encoding string

const (
	varint   encoding = "varint"
	zigzag   encoding = "zigzag"
	fixed32  encoding = "four bytes"
	fixed64  encoding = "eight bytes"
	float32s encoding = "float"
	float64s encoding = "double"
	text     encoding = "text"
	message  encoding = "message"
	group    encoding = "group"
)

var encodings = map[protoreflect.Kind]encoding{
	protoreflect.BoolKind: varint, protoreflect.EnumKind: varint,
	protoreflect.Int32Kind: varint, protoreflect.Int64Kind: varint, protoreflect.Uint32Kind: varint, protoreflect.Uint64Kind: varint,
	protoreflect.Sint32Kind: zigzag, protoreflect.Sint64Kind: zigzag,
	protoreflect.Fixed32Kind: fixed32, protoreflect.Sfixed32Kind: fixed32,
	protoreflect.Fixed64Kind: fixed64, protoreflect.Sfixed64Kind: fixed64,
	protoreflect.FloatKind: float32s, protoreflect.DoubleKind: float64s,
	protoreflect.StringKind: text, protoreflect.BytesKind: text,
	protoreflect.MessageKind: message, protoreflect.GroupKind: group,
}

// bounds are the least and greatest values of a kind of whole numbers, as powers of two:
// from -2^negative, or 0 if that is -1, up to 2^positive-1.
type bounds struct{ negative, positive int }

var ranges = map[protoreflect.Kind]bounds{
	protoreflect.BoolKind: {-1, 1}, protoreflect.EnumKind: {31, 31},
	protoreflect.Int32Kind: {31, 31}, protoreflect.Sint32Kind: {31, 31}, protoreflect.Sfixed32Kind: {31, 31},
	protoreflect.Int64Kind: {63, 63}, protoreflect.Sint64Kind: {63, 63}, protoreflect.Sfixed64Kind: {63, 63},
	protoreflect.Uint32Kind: {-1, 32}, protoreflect.Fixed32Kind: {-1, 32},
	protoreflect.Uint64Kind: {-1, 64}, protoreflect.Fixed64Kind: {-1, 64},
}

// fits returns why not all numbers of a kind are also of another, or "".
func fits(was, is protoreflect.Kind) string {
	from, to := ranges[was], ranges[is]
	switch {
	case from.negative > to.negative && to.negative < 0:
		return "a number below 0 is read as another one"
	case from.negative > to.negative || from.positive > to.positive:
		return fmt.Sprintf("a number above %s is read as another one", new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(to.positive)), big.NewInt(1)))
	}
	return ""
}

// convertWire returns why stored values of a field are misread as those of another one, or
// "". What is in their messages, and the values of their enums, are not compared.
func convertWire(was, is protoreflect.FieldDescriptor) string {
	switch {
	case was.IsMap() && is.IsMap():
		if why := convertWire(was.MapKey(), is.MapKey()); why != "" {
			return "of its keys, " + why
		}
		if why := convertWire(was.MapValue(), is.MapValue()); why != "" {
			return "of its values, " + why
		}
		return ""
	case was.IsMap() && is.IsList() && is.Message() != nil && entryLike(was, is):
		return ""
	case is.IsMap() && was.IsList() && was.Message() != nil && entryLike(is, was):
		return "of elements with the same key, only the last is read"
	case was.IsMap() != is.IsMap():
		return "its values are not read"
	case was.IsList() && !is.IsList():
		return "of several values, at most the last is read"
	}
	return convertKind(was, is)
}

// entryLike reports whether the messages of a list are like the entries of a map.
func entryLike(entries, list protoreflect.FieldDescriptor) bool {
	key, value := list.Message().Fields().ByNumber(1), list.Message().Fields().ByNumber(2)
	return key != nil && value != nil && key.Cardinality() != protoreflect.Repeated && value.Cardinality() != protoreflect.Repeated &&
		encodings[list.Kind()] == message &&
		convertKind(entries.MapKey(), key) == "" && convertKind(key, entries.MapKey()) == "" &&
		convertKind(entries.MapValue(), value) == "" && convertKind(value, entries.MapValue()) == ""
}

// convertKind returns why single values are misread on the wire, or "".
func convertKind(was, is protoreflect.FieldDescriptor) string {
	from, to := encodings[was.Kind()], encodings[is.Kind()]
	switch {
	case from != to && readable(from, to):
		return "its values are read as other ones"
	case from != to:
		return "its values are not read"
	case was.Kind() == protoreflect.BytesKind && is.Kind() == protoreflect.StringKind:
		return "an event whose bytes are not valid UTF-8 can't be read"
	case was.Kind() == is.Kind() && (was.Enum() == nil || was.Enum().IsClosed() || !is.Enum().IsClosed()):
		return ""
	case is.Enum() != nil && is.Enum().IsClosed() && was.Kind() != protoreflect.BoolKind:
		return "the enum is closed, so many languages read a number without a name as not set"
	}
	return fits(was.Kind(), is.Kind())
}

// readable reports whether values of one encoding have the form of another on the wire.
func readable(from, to encoding) bool {
	form := map[encoding]int{varint: 0, zigzag: 0, fixed64: 1, float64s: 1, text: 2, message: 2, group: 3, fixed32: 5, float32s: 5}
	return form[from] == form[to]
}

// convertJSON is [convertWire] for values in JSON.
func convertJSON(was, is protoreflect.FieldDescriptor) string {
	switch {
	case was.IsMap() && is.IsMap():
		// Keys are strings in JSON.
		if was.MapKey().Kind() != is.MapKey().Kind() && is.MapKey().Kind() != protoreflect.StringKind {
			if fromRange, whole := ranges[was.MapKey().Kind()]; !whole || fromRange.positive == 1 || ranges[is.MapKey().Kind()].positive == 1 || fits(was.MapKey().Kind(), is.MapKey().Kind()) != "" {
				return "not all of its keys are read"
			}
		}
		return convertJSONKind(was.MapValue(), is.MapValue())
	case was.IsMap() != is.IsMap(), was.IsList() != is.IsList():
		return "its value has another form"
	}
	return convertJSONKind(was, is)
}

// convertJSONKind returns why single values are misread in JSON, or "".
func convertJSONKind(was, is protoreflect.FieldDescriptor) string {
	const other = "its values are not read, or as other ones"
	from, to := was.Kind(), is.Kind()
	_, fromWhole := ranges[from]
	_, toWhole := ranges[to]
	switch {
	case was.Message() != nil && is.Message() != nil:
		if was.Message().FullName() != is.Message().FullName() && (isWellKnown(was.Message()) || isWellKnown(is.Message())) {
			return "its values have another form"
		}
		return ""
	case from == to:
		return ""
	case from == protoreflect.EnumKind && to == protoreflect.StringKind: // both are names
		return ""
	case ranges[from].positive >= 63 && to == protoreflect.StringKind: // which JSON has as strings
		return ""
	case from == protoreflect.EnumKind, from == protoreflect.BoolKind, to == protoreflect.BoolKind:
		return other
	case fromWhole && toWhole:
		return fits(from, to)
	case fromWhole && ranges[from].positive <= 32 && to == protoreflect.DoubleKind, from == protoreflect.FloatKind && to == protoreflect.DoubleKind:
		return ""
	}
	return other
}

// isWellKnown reports whether a message has a form of its own in JSON.
func isWellKnown(message protoreflect.MessageDescriptor) bool {
	return message.ParentFile().Package() == "google.protobuf" && message.FullName() != "google.protobuf.Empty"
}

// unset returns the value that is read of a field which is not set, "" for a message or a list.
func unset(field protoreflect.FieldDescriptor) string {
	switch {
	case field.Cardinality() == protoreflect.Repeated || field.Message() != nil:
		return ""
	case field.Kind() == protoreflect.BoolKind && field.Default().Bool():
		return "1" // as a number
	case field.Kind() == protoreflect.BoolKind:
		return "0"
	case field.Kind() == protoreflect.EnumKind:
		return fmt.Sprint(field.Default().Enum())
	case field.Kind() == protoreflect.BytesKind:
		return fmt.Sprintf("%q", field.Default().Bytes())
	case field.Kind() == protoreflect.StringKind:
		return fmt.Sprintf("%q", field.Default().String())
	}
	return fmt.Sprint(field.Default().Interface())
}

// describe returns the type of a field, as a proto declares it.
func describe(field protoreflect.FieldDescriptor) string {
	if field.IsMap() {
		return fmt.Sprintf("map<%s, %s>", describe(field.MapKey()), describe(field.MapValue()))
	}
	name := field.Kind().String()
	switch {
	case field.Enum() != nil:
		name = "enum " + string(field.Enum().FullName())
	case field.Kind() == protoreflect.GroupKind:
		name = "group " + string(field.Message().FullName())
	case field.Message() != nil:
		name = "message " + string(field.Message().FullName())
	}
	switch field.Cardinality() {
	case protoreflect.Repeated:
		return "repeated " + name
	case protoreflect.Required:
		return "required " + name
	}
	return name
}
