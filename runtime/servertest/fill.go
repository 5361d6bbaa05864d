package servertest

import (
	"slices"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// maxDepth bounds how far messages in messages are filled: they may hold
// themselves.
const maxDepth = 4

// Sample makes a message with a value in every field, always the same: text
// says the name of its field, numbers are 1, lists and maps have one element,
// of a oneof the first member is set, an Any holds a Duration. Only the fields with the
// full names in unique have another value each time. A field of a type that requires itself
// (proto2) stays unset: no message of that type is valid. If the proto has rules of
// protovalidate, values are such that the message keeps them.
func Sample[M proto.Message](unique ...string) M {
	message := empty[M]()
	f := filler{unique: unique, endless: map[protoreflect.FullName]bool{}}
	f.fill(message.ProtoReflect(), maxDepth)
	keepRules(message.ProtoReflect(), f)
	return message
}

// What a module whose protos have rules does otherwise.
var (
	// keepRules changes a filled message, and addRequired an empty one, so that it keeps
	// its rules.
	keepRules   = func(protoreflect.Message, filler) {}
	addRequired = func(protoreflect.Message, filler) {}
	// valid reports whether a message keeps its rules.
	valid = func(proto.Message) bool { return true }
)

type filler struct {
	unique   []string
	endless  map[protoreflect.FullName]bool // messages that were looked at: whether they require themselves
	required bool                           // whether only what a message must have is filled
}

// requiresItself reports whether a message can't be filled: it requires itself, or
// one that does.
func (f filler) requiresItself(message protoreflect.MessageDescriptor) bool {
	if message == nil {
		return false
	}
	if endless, known := f.endless[message.FullName()]; known {
		return endless
	}
	f.endless[message.FullName()] = true // if it is met again on the way down
	endless := false
	for i := range message.Fields().Len() {
		fd := message.Fields().Get(i)
		endless = endless || fd.Cardinality() == protoreflect.Required && f.requiresItself(fd.Message())
	}
	f.endless[message.FullName()] = endless
	return endless
}

func (f filler) fill(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	if held, err := anypb.New(&durationpb.Duration{Seconds: 1}); err == nil && m.Descriptor().FullName() == "google.protobuf.Any" {
		m.Set(fields.ByName("type_url"), protoreflect.ValueOfString(held.GetTypeUrl()))
		m.Set(fields.ByName("value"), protoreflect.ValueOfBytes(held.GetValue()))
		return
	}
	for i := range fields.Len() {
		fd := fields.Get(i)
		if oneof := fd.ContainingOneof(); oneof != nil && chosen(oneof) != fd || f.required && fd.Cardinality() != protoreflect.Required {
			continue
		}
		if held := fd.Message(); held != nil && (f.requiresItself(held) || fd.IsMap() && f.requiresItself(fd.MapValue().Message())) {
			continue
		}
		switch {
		case slices.Contains(f.unique, string(fd.FullName())):
			m.Set(fd, unique(fd))
		case fd.IsMap():
			f.fillMap(m.Mutable(fd).Map(), fd, depth)
		case fd.IsList():
			list := m.Mutable(fd).List()
			if fd.Message() == nil {
				list.Append(scalar(fd))
			} else if depth > 0 {
				f.fill(list.AppendMutable().Message(), depth-1)
			}
		case fd.Message() == nil:
			m.Set(fd, scalar(fd))
		case depth > 0 || fd.Cardinality() == protoreflect.Required:
			f.fill(m.Mutable(fd).Message(), depth-1)
		}
	}
}

// chosen is the field of a oneof that gets a value: the first, but of an attribute of a
// CloudEvent the text, since it is stored as that, and of a value of a Struct, too.
func chosen(oneof protoreflect.OneofDescriptor) protoreflect.FieldDescriptor {
	if text := oneof.Fields().ByName("ce_string"); text != nil {
		return text
	}
	if oneof.FullName() == "google.protobuf.Value.kind" {
		return oneof.Fields().ByName("string_value")
	}
	return oneof.Fields().Get(0)
}

// made counts the unique numbers.
var made atomic.Int32

// unique is a value, text or a number, that no field had before.
func unique(fd protoreflect.FieldDescriptor) protoreflect.Value {
	return value(fd, made.Add(1), eventid.New())
}

func (f filler) fillMap(entries protoreflect.Map, fd protoreflect.FieldDescriptor, depth int) {
	key := scalar(fd.MapKey()).MapKey()
	if fd.MapValue().Message() == nil {
		entries.Set(key, scalar(fd.MapValue()))
	} else if depth > 0 {
		f.fill(entries.Mutable(key).Message(), depth-1)
	}
}

// scalar is the value of a field, or of an element of it.
func scalar(fd protoreflect.FieldDescriptor) protoreflect.Value {
	return value(fd, 1, string(fd.Name()))
}

// value is a number or a text as the value of a field. A bool is true, and an enum has
// its second value.
func value(fd protoreflect.FieldDescriptor, number int32, text string) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		values := fd.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(min(1, values.Len()-1)).Number())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(number)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(number))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(number))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(number))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(number))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(number))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(text))
	default:
		return protoreflect.ValueOfString(text)
	}
}
