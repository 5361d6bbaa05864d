package model

import (
	"bytes"
	"encoding/json"
	"path"
	"regexp"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	// How deep messages in messages are filled: they may hold themselves.
	sampleDepth = 4
	// How many values a sample has at most. Nobody would edit a longer one.
	sampleValues = 500
)

// SampleDir returns the folder of the requests that the tests of the service send.
func (s *Service) SampleDir() string { return path.Join(s.impl.Dir, "testdata") }

// SamplePath returns the path of the file with the request that the tests of the RPC
// send.
func (m *Method) SamplePath() string { return path.Join(m.Service.SampleDir(), m.File+".json") }

// SampleFile returns that path as those tests have it.
func (m *Method) SampleFile() string { return path.Join("testdata", m.File+".json") }

// Sample returns a request with a value in every field, in JSON; of a tail one that asks
// for all events. It is what servertest.Sample makes in tests that find no such file. It
// is "" for a request that has rules of protovalidate, which only tests can try, and for
// one that would be too long, or that JSON can't have.
func (m *Method) Sample() string {
	if m.Rules {
		return ""
	}
	request := dynamicpb.NewMessage(m.desc.Input())
	s := sampler{endless: map[protoreflect.FullName]bool{}, left: sampleValues, required: m.Tails()}
	s.fill(request, sampleDepth)
	if s.left < 0 {
		return ""
	}
	text, err := protojson.Marshal(request)
	if err != nil || protojson.Unmarshal(text, dynamicpb.NewMessage(m.desc.Input())) != nil {
		return ""
	}
	var laidOut bytes.Buffer // protojson varies its white space
	if err := json.Indent(&laidOut, text, "", "  "); err != nil {
		return ""
	}
	return laidOut.String()
}

// Refuses returns why a text is not a request of the RPC in JSON, and where: "3:5: unknown
// field …". It is "" for one that is, or that has been cut off, and for what is in an Any,
// whose type only tests may know.
func (m *Method) Refuses(text []byte) string {
	err := protojson.Unmarshal(text, dynamicpb.NewMessage(m.desc.Input()))
	if err == nil || strings.HasPrefix(m.Sample(), string(text)) {
		return ""
	}
	found := atLine.FindStringSubmatch(err.Error())
	if found == nil || strings.HasPrefix(found[2], "unable to resolve") {
		return ""
	}
	return found[1] + ": " + found[2]
}

// atLine matches what protojson says of a place in a text.
var atLine = regexp.MustCompile(`\(line (\d+:\d+)\): (.*)`)

// sampler fills messages as the runtime's servertest.Sample does.
type sampler struct {
	endless  map[protoreflect.FullName]bool // messages that were looked at: whether they require themselves
	left     int                            // how many values it may set
	required bool                           // whether it fills only what a message must have
}

// requiresItself reports whether a message can't be filled: it requires itself, or one
// that does.
func (s *sampler) requiresItself(message protoreflect.MessageDescriptor) bool {
	if message == nil {
		return false
	}
	if endless, known := s.endless[message.FullName()]; known {
		return endless
	}
	s.endless[message.FullName()] = true // if it is met again on the way down
	endless := false
	for i := range message.Fields().Len() {
		fd := message.Fields().Get(i)
		endless = endless || fd.Cardinality() == protoreflect.Required && s.requiresItself(fd.Message())
	}
	s.endless[message.FullName()] = endless
	return endless
}

func (s *sampler) fill(m protoreflect.Message, depth int) {
	if m.Descriptor().FullName() == "google.protobuf.Any" {
		fillAny(m)
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		switch oneof, held := fd.ContainingOneof(), fd.Message(); {
		case s.required && fd.Cardinality() != protoreflect.Required, oneof != nil && chosen(oneof) != fd:
			continue
		case held != nil && (s.requiresItself(held) || fd.IsMap() && s.requiresItself(fd.MapValue().Message())):
			continue
		}
		if s.left--; s.left < 0 {
			return
		}
		s.set(m, fd, depth)
	}
}

// set gives a field a value.
func (s *sampler) set(m protoreflect.Message, fd protoreflect.FieldDescriptor, depth int) {
	switch {
	case fd.IsMap():
		entries, key := m.Mutable(fd).Map(), sampleOf(fd.MapKey()).MapKey()
		if fd.MapValue().Message() == nil {
			entries.Set(key, sampleOf(fd.MapValue()))
		} else if depth > 0 {
			s.fill(entries.Mutable(key).Message(), depth-1)
		}
	case fd.IsList():
		list := m.Mutable(fd).List()
		if fd.Message() == nil {
			list.Append(sampleOf(fd))
		} else if depth > 0 {
			s.fill(list.AppendMutable().Message(), depth-1)
		}
	case fd.Message() == nil:
		m.Set(fd, sampleOf(fd))
	case depth > 0 || fd.Cardinality() == protoreflect.Required:
		s.fill(m.Mutable(fd).Message(), depth-1)
	}
}

// fillAny puts a message into an Any whose type every server knows.
func fillAny(m protoreflect.Message) {
	held, err := anypb.New(&durationpb.Duration{Seconds: 1})
	if err != nil {
		return
	}
	fields := m.Descriptor().Fields()
	m.Set(fields.ByName("type_url"), protoreflect.ValueOfString(held.GetTypeUrl()))
	m.Set(fields.ByName("value"), protoreflect.ValueOfBytes(held.GetValue()))
}

// chosen returns the field of a oneof that gets a value: the first, but of an attribute
// of a CloudEvent, and of a Struct, the text.
func chosen(oneof protoreflect.OneofDescriptor) protoreflect.FieldDescriptor {
	if text := oneof.Fields().ByName("ce_string"); text != nil {
		return text
	}
	if oneof.FullName() == "google.protobuf.Value.kind" {
		return oneof.Fields().ByName("string_value")
	}
	return oneof.Fields().Get(0)
}

// sampleOf returns the value of a field, or of an element of it: text says the name of
// the field, numbers are 1, and an enum has its second value.
func sampleOf(fd protoreflect.FieldDescriptor) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		values := fd.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(min(1, values.Len()-1)).Number())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(1)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(1)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(1)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(1)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(1)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(1)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(fd.Name()))
	default:
		return protoreflect.ValueOfString(string(fd.Name()))
	}
}
