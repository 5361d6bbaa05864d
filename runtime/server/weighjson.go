//runtime:with web console

package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// What an object of JSON takes whose type is not known, as within an Any: roughly that of
// a message with many fields.
const unknownWeight = 4 << 10

// strictJSON refuses what it does not know. Messages may be as deep as in gRPC.
var strictJSON = protojson.UnmarshalOptions{RecursionLimit: deepest}

// DecodeJSON decodes a message of the call from JSON, or returns why it is refused, as the
// caller should see it. Fields that the message does not have are refused.
func (p *PortCall) DecodeJSON(encoded []byte, into proto.Message) error {
	c := p.call
	c.original = nil // the one before
	if err := c.weigh(encoded, into, weighJSON); err != nil {
		return err
	}
	if err := strictJSON.Unmarshal(encoded, into); err != nil {
		err = explainJSON(encoded, into.ProtoReflect().Descriptor(), err)
		return c.undecodable(into, err)
	}
	if c.limits.keepsRefused {
		c.original, _ = proto.Marshal(into) // as a client of gRPC would have sent it
	}
	return nil
}

// explainJSON returns why JSON is not a message of a type, if protojson returned an error:
// which field it is that the message does not have, or else what protojson says.
func explainJSON(encoded []byte, of protoreflect.MessageDescriptor, err error) error {
	if len(bytes.TrimSpace(encoded)) == 0 {
		return errors.New("it is empty; without fields it is {}")
	}
	text := strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
	if !strings.Contains(text, "unknown field") {
		return errors.New(text)
	}
	r := reader{scale: &scale{most: math.MaxInt64, batch: math.MaxInt}, text: encoded}
	r.message(of, 0)
	if r.unknown == nil {
		return errors.New(text)
	}
	return r.unknown
}

// weighJSON is [scale.weigh] for a message in JSON. It stops where that is not valid,
// which decoding it will say.
func weighJSON(s *scale, of protoreflect.MessageDescriptor, encoded []byte, _ int) error {
	r := reader{scale: s, text: encoded}
	r.message(of, 0)
	if r.heavy != nil {
		return r.heavy
	}
	return s.tooHeavy()
}

// reader reads a message in JSON without decoding it. Its methods report false where
// it has to stop.
type reader struct {
	*scale
	text    []byte
	at      int
	heavy   error
	unknown error // names a field that its message does not have
}

// next returns the next byte that is not space; 0 at the end.
func (r *reader) next() byte {
	for ; r.at < len(r.text); r.at++ {
		switch b := r.text[r.at]; b {
		case ' ', '\t', '\n', '\r':
		default:
			return b
		}
	}
	return 0
}

// take takes a byte if it is the next.
func (r *reader) take(b byte) bool {
	if r.next() != b {
		return false
	}
	r.at++
	return true
}

// quoted reads a string, and returns it with its quotes.
func (r *reader) quoted() ([]byte, bool) {
	if r.next() != '"' {
		return nil, false
	}
	begin := r.at
	for r.at++; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case '\\':
			r.at++
		case '"':
			r.at++
			return r.text[begin:r.at], true
		}
	}
	return nil, false
}

// members reads an object, and calls each after the name of a member and its colon.
func (r *reader) members(each func(name []byte, at int) bool) bool {
	if !r.take('{') {
		return false
	}
	if r.take('}') {
		return true
	}
	for {
		r.next()
		at := r.at
		name, ok := r.quoted()
		if !ok || !r.take(':') || !each(name[1:len(name)-1], at) {
			return false
		}
		if r.take('}') {
			return true
		}
		if !r.take(',') {
			return false
		}
	}
}

// elements reads an array, and calls each before an element.
func (r *reader) elements(each func() bool) bool {
	if !r.take('[') {
		return false
	}
	if r.take(']') {
		return true
	}
	for {
		if !each() {
			return false
		}
		if r.take(']') {
			return true
		}
		if !r.take(',') {
			return false
		}
	}
}

// scalar reads a value that is not an object or array.
func (r *reader) scalar() bool {
	switch r.next() {
	case '"':
		_, ok := r.quoted()
		return ok
	case 0, '{', '[', '}', ']', ',', ':':
		return false
	}
	for ; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case ' ', '\t', '\n', '\r', ',', '}', ']':
			return true
		}
	}
	return true
}

// add adds some weight, and reports false once that is too much.
func (r *reader) add(weight int64) bool {
	r.weight += weight
	if r.isTooHeavy() {
		r.heavy = r.tooHeavy()
	}
	return r.heavy == nil
}

// message reads a message of a type.
func (r *reader) message(of protoreflect.MessageDescriptor, depth int) bool {
	if depth > deepest {
		return false
	}
	switch of.FullName() {
	case "google.protobuf.Any":
		return r.any(depth)
	case "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue":
		return r.untyped(depth, entryWeight+messageWeight)
	}
	if r.next() != '{' {
		return r.scalar() // as a timestamp is, or null
	}
	return r.members(func(name []byte, at int) bool {
		field := fieldOf(of, name)
		switch {
		case field != nil:
			return r.field(field, depth)
		case bytes.HasPrefix(name, []byte("[")), bytes.HasPrefix(name, []byte("@")) && depth > 0: // an extension, or the type of an Any
			return r.untyped(depth, unknownWeight)
		}
		r.unknown = unknownField(of, name, r.text, at)
		return false
	})
}

// fieldOf returns the field of a name as JSON has it; nil if there is none.
func fieldOf(of protoreflect.MessageDescriptor, name []byte) protoreflect.FieldDescriptor {
	text := string(name)
	if bytes.IndexByte(name, '\\') >= 0 && json.Unmarshal([]byte(`"`+text+`"`), &text) != nil {
		return nil
	}
	if field := of.Fields().ByJSONName(text); field != nil {
		return field
	}
	return of.Fields().ByTextName(text)
}

func (r *reader) field(field protoreflect.FieldDescriptor, depth int) bool {
	message := field.Message()
	switch {
	case field.IsMap():
		value := field.MapValue()
		if r.next() != '{' {
			return r.scalar()
		}
		return r.members(func([]byte, int) bool {
			return r.add(entryWeight) && (value.Message() == nil && r.scalar() || value.Message() != nil && r.one(value.Message(), depth+1))
		})
	case field.IsList():
		if r.next() != '[' {
			return r.scalar()
		}
		elements := 0
		return r.elements(func() bool {
			if message == nil {
				return r.add(elementWeight) && r.scalar()
			}
			if elements++; depth == 0 && elements > r.batch {
				r.heavy = tooMany(field, r.batch)
				return false
			}
			if depth == 0 {
				r.weight += batchWeight
			}
			return r.one(message, depth+1)
		})
	case message != nil:
		return r.one(message, depth+1)
	}
	return r.scalar()
}

// one reads a message in a field.
func (r *reader) one(of protoreflect.MessageDescriptor, depth int) bool {
	return r.add(messageWeight+fieldWeight*int64(of.Fields().Len())) && r.message(of, depth)
}

// any reads an Any, whose type is in its first member, as all write it.
func (r *reader) any(depth int) bool {
	begin := r.at
	if r.take('{') {
		if name, ok := r.quoted(); ok && string(name) == `"@type"` && r.take(':') {
			if url, ok := r.quoted(); ok {
				kind, err := protoregistry.GlobalTypes.FindMessageByURL(string(url[1 : len(url)-1]))
				if err == nil && !strings.HasPrefix(string(kind.Descriptor().FullName()), "google.protobuf.") {
					r.at = begin
					return r.one(kind.Descriptor(), depth+1)
				}
			}
		}
	}
	r.at = begin
	return r.untyped(depth, unknownWeight)
}

// untyped reads a value whose parts weigh so much each.
func (r *reader) untyped(depth int, weight int64) bool {
	if depth > deepest || !r.add(weight) {
		return false
	}
	switch r.next() {
	case '{':
		return r.members(func([]byte, int) bool { return r.untyped(depth+1, weight) })
	case '[':
		return r.elements(func() bool { return r.untyped(depth+1, weight) })
	}
	return r.scalar()
}

// unknownField returns the error for a field that a message does not have.
func unknownField(of protoreflect.MessageDescriptor, name, text []byte, at int) error {
	line := 1 + bytes.Count(text[:at], []byte("\n"))
	column := at - bytes.LastIndexByte(text[:at], '\n')
	best, least := "", 1+len(name)/3
	for i := range of.Fields().Len() {
		candidate := of.Fields().Get(i).JSONName()
		if changes := distance(plainName(string(name)), plainName(candidate)); changes < least {
			best, least = candidate, changes
		}
	}
	const most = 60
	shown := string(name)
	if len(shown) > most {
		shown = shown[:most] + "…"
	}
	err := fmt.Sprintf("line %d, column %d: %s has no field %q", line, column, of.FullName(), shown)
	if best != "" && len(name) <= most {
		err += fmt.Sprintf(": did you mean %q?", best)
	}
	return errors.New(err)
}
