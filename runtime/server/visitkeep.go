//runtime:with web

package server

import "google.golang.org/protobuf/proto"

// Keep makes the call go on to hold what it holds of the memory, until it ends: the body
// that was read has more messages than the first. Those are decoded by DecodeKept.
func (v *Visit) Keep() { v.kept = v.call.held }

// DecodePart is Decode, or DecodeJSON, for a part of a message. It holds the memory for the
// part until the next is decoded.
func (v *Visit) DecodePart(encoded []byte, into proto.Message, isJSON bool) error {
	decode := v.Decode
	if isJSON {
		decode = v.DecodeJSON
	}
	if err := decode(encoded, into); err != nil {
		return err
	}
	return v.call.hold(v.kept + v.call.held)
}

// DecodeKept is Decode for a message of what the call keeps.
func (v *Visit) DecodeKept(encoded []byte, into proto.Message) error {
	if err := v.Decode(encoded, into); err != nil {
		return err
	}
	return v.call.hold(v.kept + v.call.held)
}
