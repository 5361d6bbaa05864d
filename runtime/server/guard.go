package server

import (
	"context"
	"slices"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Guard refuses calls and requests, by errors with a code. [Guards] makes a server ask
// it. Its functions may be nil, and are called from many goroutines at once.
//
// Refusals with the codes Unauthenticated, PermissionDenied and ResourceExhausted are
// logged as limits are: not each of them, but how many there were.
type Guard struct {
	// Admit decides on a call before its request is received. The call goes on with
	// the context that it returns. If Admit makes that end before the call does, with
	// a cause, then the cause is how the call ends, as soon as its method returns.
	Admit func(context.Context, Call) (context.Context, error)
	// Check decides on each request of a call, within the interceptors of the user. In
	// a call that streams it may wait, until [UntilDrain] of ctx ends at the latest.
	Check func(ctx context.Context, call Call, request any) error
	// KnowsCallers is true if Admit refuses callers that it does not know. Without
	// such a guard, a server that others can reach warns when it starts.
	KnowsCallers bool
}

type onlySourceKey struct{}

type operatorKey struct{}

// isOperator reports whether a call is made in this process by whoever operates the server,
// so that no guard needs to know them (see [Caller]).
func isOperator(ctx context.Context) bool { return ctx.Value(operatorKey{}) != nil }

// OnlySource returns the context of a call that may bring events of one source only. It
// does not check that: [Guard.Check] does. But a request that is refused before, and
// kept (see [Keeper]), is then checked when it is sent again.
func OnlySource(ctx context.Context, source string) context.Context {
	return context.WithValue(ctx, onlySourceKey{}, source)
}

// Call is a call that a [Guard] decides on.
type Call struct {
	Method  string // as "/shop.v1.Orders/Place"
	RPC     RPC
	Own     bool // of a service of the server's own: health or reflection
	Streams bool // whether one side streams, or both
}

// pushBack sends when to try again, if an answer says so, in the trailer that gRPC's
// clients obey in all languages. What is in the answer itself they leave to callers.
func pushBack(ctx context.Context, answer error) {
	if answer == nil {
		return
	}
	for _, detail := range status.Convert(answer).Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			ms := (retry.GetRetryDelay().AsDuration() + time.Millisecond - 1).Milliseconds()
			_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", strconv.FormatInt(max(ms, 1), 10)))
			return
		}
	}
}

// refusal is the error of a guard.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// GRPCStatus returns what callers see.
func (r refusal) GRPCStatus() *status.Status { return status.Convert(publicError(r.error)) }

// noticed reports whether such a refusal is logged by its code, together with others.
func (r refusal) noticed() bool {
	return slices.Contains([]codes.Code{codes.Unauthenticated, codes.PermissionDenied, codes.ResourceExhausted}, r.GRPCStatus().Code())
}

// callerAddress returns the address of a call, as limits count it.
func callerAddress(ctx context.Context) string {
	if from, ok := peer.FromContext(ctx); ok {
		return origin(from.Addr)
	}
	return ""
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

	observer callObserver
}

func newGate(service Service, rpc string, streams, own bool, guards []Guard, observer observer) *gate {
	call := Call{Method: "/" + service.Desc.ServiceName + "/" + rpc, RPC: service.RPCs[rpc], Own: own, Streams: streams}
	return &gate{call, guards, service.check, observer.rpc(call)}
}

// admit returns the context that a call goes on with.
func (g *gate) admit(ctx context.Context) (_ context.Context, err error) {
	for _, guard := range g.guards {
		if guard.Admit == nil || guard.KnowsCallers && isOperator(ctx) {
			continue
		}
		if ctx, err = guard.Admit(ctx, g.call); err != nil {
			return nil, refusal{err}
		}
	}
	return ctx, nil
}

// end returns how a call ends whose method returned err, if within is the context that
// admit returned: by the cause of a guard that ended it.
func (g *gate) end(ctx, within context.Context, err error) error {
	if ctx.Err() == nil && within.Err() != nil {
		return refusal{context.Cause(within)}
	}
	return err
}

// pass returns why a request is refused, or nil.
func (g *gate) pass(ctx context.Context, request any) error {
	for _, guard := range g.guards {
		if guard.Check == nil || guard.KnowsCallers && isOperator(ctx) {
			continue
		}
		if err := guard.Check(ctx, g.call, request); err != nil {
			return refusal{err}
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
