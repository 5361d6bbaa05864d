//go:build linux

package main

import (
	"bytes"
	"compress/gzip"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// field returns a field with bytes.
func field(number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
}

// event returns an event with more fields.
func event(source string, more ...[]byte) []byte {
	return slices.Concat(field(2, []byte(source)), field(3, []byte("attack")), field(4, []byte("x")), slices.Concat(more...))
}

// publish returns a PublishRequest, or any other request whose first field is the event.
func publish(more ...[]byte) []byte { return field(1, event("attacker", more...)) }

// nested wraps a value in as many levels as there are, or as many as fit into most
// bytes. Each level has the tags around the one within.
func nested(levels, most int, tags ...protowire.Number) []byte {
	// Built from the inside out, so from the back of the slice.
	all := make([]byte, 0, 64)
	length := 0
	for level := 0; level < levels && length < most; level++ {
		for _, tag := range slices.Backward(tags) {
			header := protowire.AppendVarint(protowire.AppendTag(nil, tag, protowire.BytesType), uint64(length))
			slices.Reverse(header)
			all = append(all, header...)
			length += len(header)
		}
	}
	slices.Reverse(all)
	return all
}

// structs returns a Struct of as many levels: {"": {"": …}}. Each is a Struct, an entry of
// its map, and a Value.
func structs(levels, most int) []byte { return nested(levels-1, most, 1, 2, 5) }

// lists returns a Value of as many lists within each other.
func lists(levels, most int) []byte { return nested(levels, most, 6, 1) }

// repeat repeats a field until there are most bytes.
func repeat(part []byte, most int) []byte { return bytes.Repeat(part, most/len(part)) }

// zipped compresses.
func zipped(message []byte) []byte {
	var out bytes.Buffer
	writer := gzip.NewWriter(&out)
	_, _ = writer.Write(message) // into memory
	_ = writer.Close()
	return out.Bytes()
}
