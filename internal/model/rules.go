package model

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// ruleOption is the number of the options in which protovalidate keeps the rules of a
// message, a field and a oneof.
const ruleOption protowire.Number = 1159

// hasRules reports whether a message, or one that its fields may hold, has rules of
// protovalidate.
func hasRules(message protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[message.FullName()] {
		return false
	}
	seen[message.FullName()] = true
	if isRuled(message) {
		return true
	}
	for i := range message.Oneofs().Len() {
		if isRuled(message.Oneofs().Get(i)) {
			return true
		}
	}
	for i := range message.Fields().Len() {
		fd := message.Fields().Get(i)
		if isRuled(fd) || fd.Message() != nil && hasRules(fd.Message(), seen) {
			return true
		}
	}
	return false
}

// isRuled reports whether an element has rules of its own. Their option may be unknown
// here, or be that of another version of validate.proto: so its bytes are searched.
func isRuled(element protoreflect.Descriptor) bool {
	options, err := proto.MarshalOptions{AllowPartial: true}.Marshal(element.Options())
	for err == nil && len(options) > 0 {
		number, _, length := protowire.ConsumeField(options)
		if length < 0 {
			return false
		}
		if number == ruleOption {
			return true
		}
		options = options[length:]
	}
	return false
}
