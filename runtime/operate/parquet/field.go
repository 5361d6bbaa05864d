package parquet

import (
	"fmt"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// field is how a field of a message is written, or the elements of a list or map.
type field struct {
	name   string
	number protoreflect.FieldNumber
	known  protoreflect.FieldDescriptor // as this program has it, or else the last version
	kind   kind
	fields []*field // of a record; the element of a list; the key and the value of a mapping

	first, end int // its columns
}

// kind is what the values of a field are.
type kind int

const (
	text kind = iota
	boolean
	integer
	unsigned
	number
	binary
	instant
	document // in JSON
	list
	mapping
	record
)

// deepest is how deep messages are groups of columns. Those within are in JSON.
const deepest = 8

// newField returns how a field is written that versions of a message have as these say.
// within are the messages around it. An element is a value of a list.
func newField(name string, of []protoreflect.FieldDescriptor, within []protoreflect.FullName, isElement bool) *field {
	f := &field{name: name, number: of[0].Number(), known: of[0]}
	switch shape := shapeOf(of[0]); {
	case isElement:
		f.setKind(of, within)
	case slices.ContainsFunc(of, func(other protoreflect.FieldDescriptor) bool { return shapeOf(other) != shape }):
		f.kind = document
	case shape == mapping:
		f.kind = mapping
		f.fields = []*field{
			newField("key", each(of, protoreflect.FieldDescriptor.MapKey), within, true),
			newField("value", each(of, protoreflect.FieldDescriptor.MapValue), within, true),
		}
	case shape == list:
		f.kind, f.fields = list, []*field{newField("element", of, within, true)}
	default:
		f.setKind(of, within)
	}
	return f
}

// shapeOf returns mapping, list, or something else for what is neither.
func shapeOf(field protoreflect.FieldDescriptor) kind {
	switch {
	case field.IsMap():
		return mapping
	case field.IsList():
		return list
	default:
		return text
	}
}

func each[T any](of []protoreflect.FieldDescriptor, get func(protoreflect.FieldDescriptor) T) (all []T) {
	for _, field := range of {
		all = append(all, get(field))
	}
	return all
}

// setKind sets the kind of a single value. One that was of several kinds is a text, or in
// JSON if it was a message.
func (f *field) setKind(of []protoreflect.FieldDescriptor, within []protoreflect.FullName) {
	f.kind = kindOf(of[0])
	for _, other := range of[1:] {
		if kind := kindOf(other); kind != f.kind {
			f.kind = text
			if slices.ContainsFunc(of, func(of protoreflect.FieldDescriptor) bool { return kindOf(of) >= document }) {
				f.kind = document
			}
			return
		}
	}
	if f.kind != record {
		return
	}
	name := of[0].Message().FullName()
	if len(within) == deepest || slices.Contains(within, name) {
		f.kind = document
		return
	}
	f.addFields(each(of, protoreflect.FieldDescriptor.Message), append(slices.Clip(within), name))
}

// addFields adds the fields of a message, those that only former versions have last.
func (f *field) addFields(versions []protoreflect.MessageDescriptor, within []protoreflect.FullName) {
	byNumber := map[protoreflect.FieldNumber][]protoreflect.FieldDescriptor{}
	var numbers []protoreflect.FieldNumber
	for _, version := range versions {
		for i := range version.Fields().Len() {
			field := version.Fields().Get(i)
			number := field.Number()
			if byNumber[number] == nil {
				numbers = append(numbers, number)
			}
			byNumber[number] = append(byNumber[number], field)
		}
	}
	for _, number := range numbers {
		name := string(byNumber[number][0].Name())
		if slices.ContainsFunc(f.fields, func(other *field) bool { return strings.EqualFold(other.name, name) }) {
			name = fmt.Sprintf("%s_%d", name, number)
		}
		f.fields = append(f.fields, newField(name, byNumber[number], within, false))
	}
}

// kindOf returns what a single value of a field is.
func kindOf(field protoreflect.FieldDescriptor) kind {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return boolean
	case protoreflect.StringKind, protoreflect.EnumKind:
		return text
	case protoreflect.BytesKind:
		return binary
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return number
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return unsigned
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return kindOfMessage(field.Message())
	default:
		return integer
	}
}

func kindOfMessage(message protoreflect.MessageDescriptor) kind {
	switch name := message.FullName(); {
	case name == "google.protobuf.Timestamp":
		return instant
	case name == "google.protobuf.Duration":
		return number
	case isWrapper(message):
		return kindOf(message.Fields().ByName("value"))
	case name.Parent() == "google.protobuf" || message.Fields().Len() == 0: // a group has columns
		return document
	default:
		return record
	}
}

// isWrapper reports whether a message is one such as google.protobuf.Int64Value.
func isWrapper(message protoreflect.MessageDescriptor) bool {
	name := message.FullName()
	return name.Parent() == "google.protobuf" && name != "google.protobuf.Value" && message.Fields().Len() == 1 && message.Fields().ByName("value") != nil
}

// place gives the field the columns from the first one on, and returns the one after them.
func (f *field) place(first int) (end int) {
	f.first, f.end = first, first
	for _, field := range f.fields {
		f.end = field.place(f.end)
	}
	if f.fields == nil {
		f.end++
	}
	return f.end
}

// node returns the type of the field, of which each value can be NULL.
func (f *field) node() parquet.Node { return parquet.Optional(f.valueNode()) }

func (f *field) valueNode() parquet.Node {
	switch f.kind {
	case boolean:
		return parquet.Leaf(parquet.BooleanType)
	case integer:
		return parquet.Int(64)
	case unsigned:
		return parquet.Uint(64)
	case number:
		return parquet.Leaf(parquet.DoubleType)
	case binary:
		return parquet.Leaf(parquet.ByteArrayType)
	case instant:
		return parquet.Timestamp(parquet.Microsecond)
	case document:
		return parquet.JSON()
	case list:
		return parquet.List(f.fields[0].node())
	case mapping:
		return parquet.Map(f.fields[0].valueNode(), f.fields[1].node())
	case record:
		var fields group
		for _, field := range f.fields {
			fields.add(field.name, field.node())
		}
		return fields
	default:
		return parquet.String()
	}
}
