package compat

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// anyMessage reports whether a message, or one in it, has a property.
func anyMessage(message protoreflect.Message, has func(protoreflect.Message) bool) bool {
	found := has(message)
	if found {
		return true
	}
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap() && field.MapValue().Message() != nil:
			value.Map().Range(func(_ protoreflect.MapKey, value protoreflect.Value) bool {
				found = anyMessage(value.Message(), has)
				return !found
			})
		case field.IsMap(), field.Message() == nil:
		case field.IsList():
			for i := 0; i < value.List().Len() && !found; i++ {
				found = anyMessage(value.List().Get(i).Message(), has)
			}
		default:
			found = anyMessage(value.Message(), has)
		}
		return !found
	})
	return found
}

// has reports of a message whether a field of it is set. The message may be of another
// descriptor of the same version.
func has(field protoreflect.FieldDescriptor) func(protoreflect.Message) bool {
	return func(m protoreflect.Message) bool {
		own := m.Descriptor().Fields().ByNumber(field.Number())
		return own != nil && m.Has(own)
	}
}

func hasNot(field protoreflect.FieldDescriptor) func(protoreflect.Message) bool {
	set := has(field)
	return func(m protoreflect.Message) bool { return !set(m) }
}

// hasUnknown reports whether a message has a field with a number that its type lacks.
func hasUnknown(m protoreflect.Message, number protoreflect.FieldNumber) bool {
	for rest := m.GetUnknown(); len(rest) > 0; {
		found, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			return false
		}
		if found == number {
			return true
		}
		rest = rest[n:]
	}
	return false
}

// hasValue reports whether a field of an enum, in a message itself, has a value. A field without
// presence that is not set has its default: there, the value 0 is not stored.
func hasValue(m protoreflect.Message, enum protoreflect.FullName, number protoreflect.EnumNumber) bool {
	found := false
	is := func(field protoreflect.FieldDescriptor, value protoreflect.Value) {
		if field.Enum() != nil && field.Enum().FullName() == enum && value.Enum() == number {
			found = true
		}
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			value.Map().Range(func(_ protoreflect.MapKey, value protoreflect.Value) bool {
				is(field.MapValue(), value)
				return !found
			})
		case field.IsList():
			for i := 0; i < value.List().Len() && !found; i++ {
				is(field, value.List().Get(i))
			}
		default:
			is(field, value)
		}
		return !found
	})
	for i, fields := 0, m.Descriptor().Fields(); i < fields.Len() && !found; i++ {
		field := fields.Get(i)
		if field.Enum() != nil && !field.IsList() && !field.HasPresence() && !m.Has(field) {
			is(field, field.Default())
		}
	}
	return found
}
