package eventlog

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// maxDepth is how many messages may be nested in an event. Protobuf's Java, C++
// and Python refuse to read more than 100 below the message that they read, which
// may hold the event: a batch, or the reply of a tail. An entry of a map counts
// as a message.
const maxDepth = 99

// checkBounds returns an error for a message that clients can't read back, or that
// they would read as something else, although Go can store it: it is nested too
// deep, a time is out of its range, or a text is not UTF-8.
func checkBounds(m protoreflect.Message) error {
	if out := checkMessage(m, 0); out != nil {
		return out
	}
	return nil
}

// outOfBounds is what is wrong in a message, and where.
type outOfBounds struct {
	path   []string // of the field, innermost first
	reason string
}

// maxPath is how many fields of a path are named.
const maxPath = 8

func (o *outOfBounds) Error() string {
	path := slices.Clone(o.path)
	slices.Reverse(path)
	more := ""
	if len(path) > maxPath {
		path, more = path[:maxPath], "…"
	}
	return fmt.Sprintf("%s%s: %s", strings.Join(path, "."), more, o.reason)
}

// in adds the field that has the message.
func (o *outOfBounds) in(field string) *outOfBounds {
	if o != nil {
		o.path = append(o.path, field)
	}
	return o
}

// tooDeep is the reason for a message that is nested deeper than maxDepth.
var tooDeep = fmt.Sprintf("more than %d messages are nested in each other, which is more than all clients can read", maxDepth)

// checkMessage checks a message that is nested in a number of others.
func checkMessage(m protoreflect.Message, depth int) *outOfBounds {
	if depth > maxDepth {
		return &outOfBounds{reason: tooDeep}
	}
	if unknown := m.GetUnknown(); len(unknown) > 0 && depth+groupDepth(unknown) > maxDepth {
		return &outOfBounds{reason: tooDeep}
	}
	switch known := m.Interface().(type) {
	case *timestamppb.Timestamp:
		return checkTimestamp(known)
	case *durationpb.Duration:
		return checkDuration(known)
	case *structpb.Struct:
		return checkStruct(known, depth)
	case *structpb.Value:
		return checkValue(known, depth)
	case *structpb.ListValue:
		return checkList(known, depth)
	}
	for _, field := range fieldsToCheck(m.Descriptor()) {
		if !m.Has(field) {
			continue
		}
		if out := checkField(field, m.Get(field), depth); out != nil {
			return out.in(string(field.Name()))
		}
	}
	if m.Descriptor().ExtensionRanges().Len() > 0 {
		return checkExtensions(m, depth)
	}
	return nil
}

func checkExtensions(m protoreflect.Message, depth int) (out *outOfBounds) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.IsExtension() && mayBeOut(field) {
			out = checkField(field, value, depth).in(fmt.Sprintf("[%s]", field.FullName()))
		}
		return out == nil
	})
	return out
}

// knownFields has for each message descriptor what fieldsToCheck returned.
var knownFields sync.Map // of protoreflect.MessageDescriptor to []protoreflect.FieldDescriptor

// fieldsToCheck returns the fields of a message whose values may be out of bounds.
func fieldsToCheck(message protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	if known, ok := knownFields.Load(message); ok {
		return known.([]protoreflect.FieldDescriptor)
	}
	var fields []protoreflect.FieldDescriptor
	for i := range message.Fields().Len() {
		if field := message.Fields().Get(i); mayBeOut(field) {
			fields = append(fields, field)
		}
	}
	knownFields.Store(message, fields)
	return fields
}

// mayBeOut reports whether a field's value may be out of bounds.
func mayBeOut(field protoreflect.FieldDescriptor) bool {
	return field.Message() != nil || uncheckedText(field)
}

// uncheckedText reports whether a field has text that marshalling may leave
// unchecked, as it does in proto2.
func uncheckedText(field protoreflect.FieldDescriptor) bool {
	return field.Kind() == protoreflect.StringKind && field.ParentFile().Syntax() != protoreflect.Proto3
}

func checkField(field protoreflect.FieldDescriptor, value protoreflect.Value, depth int) *outOfBounds {
	switch {
	case field.IsMap():
		return checkMap(field, value.Map(), depth+1)
	case field.IsList():
		list := value.List()
		for i := range list.Len() {
			if out := checkSingle(field, list.Get(i), depth); out != nil {
				return out.in(fmt.Sprint(i))
			}
		}
		return nil
	default:
		return checkSingle(field, value, depth)
	}
}

// checkMap checks a map with entries, which are at the given depth.
func checkMap(field protoreflect.FieldDescriptor, entries protoreflect.Map, depth int) (out *outOfBounds) {
	if depth > maxDepth {
		return &outOfBounds{reason: tooDeep}
	}
	value := field.MapValue()
	if !mayBeOut(value) && !uncheckedText(field.MapKey()) {
		return nil
	}
	entries.Range(func(key protoreflect.MapKey, entry protoreflect.Value) bool {
		if out = checkSingle(field.MapKey(), key.Value(), depth); out == nil {
			out = checkSingle(value, entry, depth)
		}
		out = out.in(fmt.Sprintf("%q", key.String()))
		return out == nil
	})
	return out
}

// checkSingle checks a value of a field, an element of a list, or a value or key
// of a map.
func checkSingle(field protoreflect.FieldDescriptor, value protoreflect.Value, depth int) *outOfBounds {
	switch {
	case field.Message() != nil:
		return checkMessage(value.Message(), depth+1)
	case uncheckedText(field) && !utf8.ValidString(value.String()):
		return &outOfBounds{reason: "the text is not valid UTF-8"}
	}
	return nil
}

func checkTimestamp(t *timestamppb.Timestamp) *outOfBounds {
	if t.CheckValid() == nil {
		return nil
	}
	return &outOfBounds{reason: fmt.Sprintf("%d seconds and %d nanos are not a timestamp, which is within the years 1 to 9999 and has 0 to 999999999 nanos",
		t.GetSeconds(), t.GetNanos())}
}

func checkDuration(d *durationpb.Duration) *outOfBounds {
	if d.CheckValid() == nil {
		return nil
	}
	return &outOfBounds{reason: fmt.Sprintf("%d seconds and %d nanos are not a duration, which is within 10000 years and has less than a second of nanos, of the same sign",
		d.GetSeconds(), d.GetNanos())}
}

// checkStruct, checkValue and checkList do what checkMessage does, without
// reflection: a Struct may have many values.
func checkStruct(s *structpb.Struct, depth int) *outOfBounds {
	for key, value := range s.GetFields() {
		if out := checkNested(value, depth+2); out != nil { // in an entry
			return out.in(fmt.Sprintf("%q", key))
		}
	}
	return nil
}

func checkList(l *structpb.ListValue, depth int) *outOfBounds {
	for i, value := range l.GetValues() {
		if out := checkNested(value, depth+1); out != nil {
			return out.in(fmt.Sprint(i))
		}
	}
	return nil
}

func checkValue(v *structpb.Value, depth int) *outOfBounds {
	switch kind := v.GetKind().(type) {
	case *structpb.Value_StructValue:
		return checkNested(kind.StructValue, depth+1)
	case *structpb.Value_ListValue:
		return checkNested(kind.ListValue, depth+1)
	}
	return nil
}

// checkNested is checkMessage for a message of a Struct.
func checkNested(m protoreflect.ProtoMessage, depth int) *outOfBounds {
	return checkMessage(m.ProtoReflect(), depth)
}

// groupDepth returns how deep groups are nested in fields that are not known.
func groupDepth(fields protoreflect.RawFields) (most int) {
	depth := 0
	for len(fields) > 0 {
		number, kind, n := protowire.ConsumeTag(fields)
		if n < 0 {
			return most
		}
		fields = fields[n:]
		switch kind {
		case protowire.StartGroupType:
			depth++
			most = max(most, depth)
			continue
		case protowire.EndGroupType:
			depth--
			continue
		}
		if n = protowire.ConsumeFieldValue(number, kind, fields); n < 0 {
			return most
		}
		fields = fields[n:]
	}
	return most
}
