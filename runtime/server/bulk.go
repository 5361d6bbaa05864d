//runtime:used

package server

import (
	"flag"
	"slices"

	"google.golang.org/grpc"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/bulk"
)

// Bulk lets clients make many calls of a unary RPC by one stream, called a lane (see
// package bulk). Each of these is handled as if it came by itself: it passes the guards,
// the interceptors of unary RPCs, and the checks, counts in --max-calls, is observed and
// logged as a call of its RPC, and has a context of its own.
//
// A lane itself passes [Guard].Admit when it is opened, as a call that streams. It is a
// call under way, too, and may have laneCalls others. Interceptors of streams don't see it.
type Bulk struct {
	On bool
}

// laneCalls bounds the calls under way of a lane.
const laneCalls = 1024

// A server that takes fewer calls than laneLeast has no lanes: one would leave no room for
// its calls.
const laneLeast = 16

// Flags defines the flag --bulk, for [Parse], which is on by default.
func (b *Bulk) Flags(flags *flag.FlagSet) {
	flags.BoolVar(&b.On, "bulk", true, "let clients make many calls of a unary RPC by one stream")
}

// Option makes a server have the lanes, unless they are off. One whose requests are bounded
// to fewer bytes than the messages of lanes (--max-message-bytes) has none.
func (b *Bulk) Option() Option {
	return option(func(all *services) {
		if b.On {
			all.lanes = addLanes
		}
	})
}

// addLanes returns a description with a lane for each unary RPC.
func addLanes(s *Server, service Service, desc *grpc.ServiceDesc) *grpc.ServiceDesc {
	if s.config.MaxMessageBytes < bulk.MaxMessage || s.config.MaxCalls < laneLeast {
		return desc
	}
	with := *desc
	with.Streams = slices.Clone(desc.Streams)
	for _, method := range service.Desc.Methods {
		name := "/" + service.Desc.ServiceName + "/" + method.MethodName
		with.Streams = append(with.Streams, s.lane(s.limits.unaries[name], method.MethodName+bulk.Suffix, service.Impl))
	}
	return &with
}

// lane returns the lane of an RPC.
func (s *Server) lane(of *unary, name string, impl any) grpc.StreamDesc {
	// The guards of the RPC admit the lane. Each call passes interceptors and checks by itself.
	call := of.gate.call
	call.Streams = true
	gate := &gate{call: call, guards: s.guards, observer: unobserved{}}
	outer := s.intercept
	outer.streams, outer.keep = nil, nil
	info := &grpc.StreamServerInfo{FullMethod: call.Method + bulk.Suffix, IsClientStream: true, IsServerStream: true}
	s.limits.kinds[info.FullMethod] = kind{method: info.FullMethod, uploads: true}
	return grpc.StreamDesc{StreamName: name, ClientStreams: true, ServerStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error {
			bounded := s.limits.begin(stream)
			defer bounded.finish()
			for range laneWeight - 1 {
				if err := s.limits.enter(bounded.call.of, kind{}); err != nil {
					return err
				}
				defer s.limits.leave(bounded.call.of, kind{})
			}
			return outer.stream(impl, bounded, gate, info, func(_ any, passed grpc.ServerStream) error {
				lane, ctx := newLane(s.limits, of, impl, bounded), passed.Context()
				outer.log.DebugContext(ctx, "a lane begins", "method", call.Method)
				err := lane.run(ctx)
				outer.log.DebugContext(ctx, "a lane ends", "method", call.Method, "calls", lane.taken)
				return err
			})
		},
	}
}
