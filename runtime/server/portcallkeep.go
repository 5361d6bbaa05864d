//runtime:with web

package server

import "google.golang.org/protobuf/proto"

// Keep makes the call go on to hold what it holds of the memory, until it ends: the body
// that was read has more messages than the first. Those are decoded by DecodeKept.
func (p *PortCall) Keep() { p.kept = p.call.held.Load() }

// DecodePart is Decode, or DecodeJSON, for a part of a message. It holds the memory for the
// part until the next is decoded.
func (p *PortCall) DecodePart(encoded []byte, into proto.Message, isJSON bool) error {
	decode := p.Decode
	if isJSON {
		decode = p.DecodeJSON
	}
	if err := decode(encoded, into); err != nil {
		return err
	}
	return p.call.hold(p.kept + p.call.held.Load())
}

// DecodeKept is Decode for a message of what the call keeps.
func (p *PortCall) DecodeKept(encoded []byte, into proto.Message) error {
	if err := p.Decode(encoded, into); err != nil {
		return err
	}
	return p.call.hold(p.kept + p.call.held.Load())
}
