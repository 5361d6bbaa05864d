//runtime:with prove

package servertest

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Fill fills an empty message as [Sample] does.
func Fill(message proto.Message, unique ...string) {
	f := filler{unique: unique, endless: map[protoreflect.FullName]bool{}}
	f.fill(message.ProtoReflect(), maxDepth)
	keepRules(message.ProtoReflect(), f)
}

// Renew gives a field a value that it had in no message before.
func Renew(message protoreflect.Message, field protoreflect.FieldDescriptor) {
	message.Set(field, unique(field))
}

// Where returns where the method of a service for an RPC is, such as
// "internal/orders/create.go:12", from the root of its module. It is "" if that is not
// known.
func Where(service any, rpc string) string { return position(service, rpc) }
