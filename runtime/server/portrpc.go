//runtime:with web console

package server

import (
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// PortRPC is an RPC as a [Port] calls it: with all that the server's own port does, from
// guards to the log of calls.
type PortRPC struct {
	Method        string // as "/shop.v1.Orders/Place"
	ClientStreams bool
	ServerStreams bool
	Descriptor    protoreflect.MethodDescriptor // nil if its proto is not in the program
	RPC           RPC                           // what guards know about it
	// Handle handles a call. Unary RPCs, too, get their request from the stream, and
	// send their reply to it.
	Handle func(grpc.ServerStream) error
}

// PortRPCs returns the RPCs of the server, also those of health and reflection.
func (s *Server) PortRPCs() (all []PortRPC) {
	for _, service := range s.bound {
		for _, stream := range service.desc.Streams {
			descriptor, _ := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service.desc.ServiceName + "." + stream.StreamName))
			method, _ := descriptor.(protoreflect.MethodDescriptor)
			all = append(all, PortRPC{
				Method:        "/" + service.desc.ServiceName + "/" + stream.StreamName,
				ClientStreams: stream.ClientStreams, ServerStreams: stream.ServerStreams, Descriptor: method, RPC: service.rpcs[stream.StreamName],
				Handle: func(s grpc.ServerStream) error { return stream.Handler(service.impl, s) },
			})
		}
	}
	return all
}
