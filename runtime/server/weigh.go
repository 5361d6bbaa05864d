package server

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// What parts of a message take when it is decoded, in bytes, roughly: a message
// without its fields and with what refers to it, each field, an entry of a map,
// an element of a list; and what storing an element of a request's own list
// takes beside that.
const (
	messageWeight = 48
	fieldWeight   = 8
	entryWeight   = 128
	elementWeight = 16
	batchWeight   = 512

	deepest    = 100 // messages within each other that are looked into
	deepWeight = 64  // a byte of what is deeper
)

// scale weighs a message before it is decoded. Two bytes may make a message of
// hundreds, so the length doesn't say how much memory it takes.
type scale struct {
	most   int64 // what a request may weigh
	batch  int   // how many elements its own lists of messages may have
	weight int64
}

// weigh adds the weight of an encoded message, without what its length says.
// It stops with an error once that is too much. What can't be decoded weighs
// nothing.
func (s *scale) weigh(of protoreflect.MessageDescriptor, encoded []byte, depth int) error {
	if depth > deepest {
		s.weight += deepWeight * int64(len(encoded))
		encoded = nil
	}
	elements := map[protowire.Number]int(nil)
	for len(encoded) > 0 {
		if err := s.tooHeavy(); err != nil {
			return err
		}
		number, kind, n := protowire.ConsumeTag(encoded)
		if n < 0 {
			return nil
		}
		encoded = encoded[n:]
		n = protowire.ConsumeFieldValue(number, kind, encoded)
		if n < 0 {
			return nil
		}
		value := encoded[:n]
		encoded = encoded[n:]
		field := of.Fields().ByNumber(number)
		if field == nil {
			continue
		}
		if field.Message() == nil {
			s.weighScalar(field, kind, value)
			continue
		}
		if depth == 0 && field.IsList() {
			if elements == nil {
				elements = map[protowire.Number]int{}
			}
			elements[number]++
			if elements[number] > s.batch {
				return tooMany(field, s.batch)
			}
			s.weight += batchWeight
		}
		if err := s.weighMessage(field, kind, value, depth+1); err != nil {
			return err
		}
	}
	return s.tooHeavy()
}

// weighScalar adds the weight of the elements of a list of scalars.
func (s *scale) weighScalar(field protoreflect.FieldDescriptor, kind protowire.Type, value []byte) {
	switch {
	case !field.IsList():
	case kind == protowire.BytesType && field.Kind() != protoreflect.StringKind && field.Kind() != protoreflect.BytesKind:
		s.weight += 8 * int64(len(value)) // packed
	default:
		s.weight += elementWeight
	}
}

// weighMessage adds the weight of a message in a field, or of an entry of a map.
func (s *scale) weighMessage(field protoreflect.FieldDescriptor, kind protowire.Type, value []byte, depth int) error {
	switch kind {
	case protowire.BytesType:
		value, _ = protowire.ConsumeBytes(value)
	case protowire.StartGroupType:
		value, _ = protowire.ConsumeGroup(field.Number(), value)
	default:
		return nil
	}
	if field.IsMap() {
		s.weight += entryWeight
	} else {
		s.weight += messageWeight + fieldWeight*int64(field.Message().Fields().Len())
	}
	return s.weigh(field.Message(), value, depth)
}

// tooHeavy returns an error if the message weighs more than a request may.
func (s *scale) tooHeavy() error {
	if !s.isTooHeavy() {
		return nil
	}
	return fmt.Errorf("the request would take more than %d bytes of memory, %d times --max-message-bytes of the server, since it has so many small parts: send fewer at once",
		s.most, mostWeight)
}

// tooMany returns the error for a list of messages that has more than a request may have.
func tooMany(field protoreflect.FieldDescriptor, batch int) error {
	return fmt.Errorf("%s has more than %d elements, the most that a request may have (--max-batch of the server): send them in several requests",
		field.Name(), batch)
}

func (s *scale) isTooHeavy() bool { return s.weight > s.most }
