package server

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Guard refuses calls and requests, by errors with a code. [Guards] makes a server ask
// it. Both functions may be nil, and are called from many goroutines at once.
type Guard struct {
	// Admit decides on a call before its request is received. The call goes on with
	// the context that it returns.
	Admit func(context.Context, Call) (context.Context, error)
	// Check decides on each request of a call, within the interceptors of the user.
	Check func(ctx context.Context, call Call, request any) error
}

// Call is a call that a [Guard] decides on.
type Call struct {
	Method string // as "/shop.v1.Orders/Place"
	RPC    RPC
	Own    bool // of a service of the server's own: health or reflection
}

// Guards adds guards. Each call must pass all of them, in their order.
func Guards(guards ...Guard) Option {
	return option(func(all *services) { all.guards = append(all.guards, guards...) })
}

// gate is what the calls of an RPC must pass: the guards, and then the check of the
// service.
type gate struct {
	call   Call
	guards []Guard
	check  func(proto.Message) error // nil for none
}

func newGate(service Service, rpc string, own bool, guards []Guard) *gate {
	call := Call{Method: "/" + service.Desc.ServiceName + "/" + rpc, RPC: service.RPCs[rpc], Own: own}
	return &gate{call, guards, service.Check}
}

// admit returns the context that a call goes on with.
func (g *gate) admit(ctx context.Context) (_ context.Context, err error) {
	for _, guard := range g.guards {
		if guard.Admit == nil {
			continue
		}
		if ctx, err = guard.Admit(ctx, g.call); err != nil {
			return nil, err
		}
	}
	return ctx, nil
}

// pass returns why a request is refused, or nil.
func (g *gate) pass(ctx context.Context, request any) error {
	for _, guard := range g.guards {
		if guard.Check == nil {
			continue
		}
		if err := guard.Check(ctx, g.call, request); err != nil {
			return err
		}
	}
	if message, ok := request.(proto.Message); ok && g.check != nil {
		return g.check(message)
	}
	return nil
}

// open reports whether all requests pass.
func (g *gate) open() bool { return g.check == nil && len(g.guards) == 0 }

// gatedStream is a stream whose requests must pass a gate.
type gatedStream struct {
	grpc.ServerStream
	gate *gate
}

func (s gatedStream) RecvMsg(into any) error {
	if err := s.ServerStream.RecvMsg(into); err != nil {
		return err
	}
	return s.gate.pass(s.Context(), into)
}
