package server

import (
	"context"
	"errors"
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

// GuardOptions returns options for a grpc.Server of your own, by which its calls pass the
// guards and checks that options have, and those of the services in them. Files to
// [Watch] are watched until ctx ends. Give the result to [grpc.NewServer] after
// interceptors of yours, which then see all calls, and after [DrainStreams]. Services that
// are not among options pass the guards, too, but no guard knows what their RPCs take.
// Options that only a [Server] can keep to, such as [UnaryInterceptors], are an error.
func GuardOptions(ctx context.Context, options ...Option) ([]grpc.ServerOption, error) {
	all, err := collect(options)
	if err != nil {
		return nil, err
	}
	if err := all.onlyGuards(); err != nil {
		return nil, err
	}
	for _, w := range all.watches {
		if err := WatchFiles(ctx, w.name, w.files, w.load); err != nil {
			return nil, err
		}
	}
	gates := map[string]*gate{}
	for _, service := range all.served {
		for _, method := range service.Desc.Methods {
			g := newGate(service, method.MethodName, false, false, all.guards)
			gates[g.call.Method] = g
		}
		for _, stream := range service.Desc.Streams {
			g := newGate(service, stream.StreamName, true, false, all.guards)
			gates[g.call.Method] = g
		}
	}
	of := func(method string, streams bool) *gate {
		if g, ok := gates[method]; ok {
			return g
		}
		return &gate{call: Call{Method: method, Streams: streams}, guards: all.guards}
	}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			g := of(info.FullMethod, false)
			within, err := g.admit(ctx)
			if err == nil {
				err = g.pass(within, request)
			}
			if err != nil {
				return nil, answerRefusal(ctx, err)
			}
			return next(within, request)
		}),
		grpc.ChainStreamInterceptor(func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			g := of(info.FullMethod, true)
			within, err := g.admit(stream.Context())
			if err == nil {
				err = next(server, gatedStream{drainable{stream, within}, g})
				err = g.end(stream.Context(), within, err)
			}
			return answerRefusal(stream.Context(), err)
		}),
	}, nil
}

// onlyGuards returns an error if there are options that [GuardOptions] would lose: one of
// them may be the interceptor that keeps callers out.
func (all *services) onlyGuards() error {
	for _, option := range []struct {
		given bool
		what  string
	}{
		{len(all.unary)+len(all.stream) > 0, "interceptors: give those to grpc.NewServer"},
		{len(all.stats)+len(all.grpc) > 0, "options of gRPC: give those to grpc.NewServer"},
		{all.credentials != nil, "credentials: give those to grpc.NewServer, by grpc.Creds"},
		{all.keep != nil, "a keeper of refused requests: only server.Run keeps them"},
		{len(all.alongside) > 0, "what runs alongside: run it yourself"},
	} {
		if option.given {
			return errors.New("server.GuardOptions can't take " + option.what)
		}
	}
	return nil
}

// answerRefusal returns what callers see of a guard's error. Other errors are as they
// were.
func answerRefusal(ctx context.Context, err error) error {
	if refused := (refusal{}); errors.As(err, &refused) {
		err = refused.GRPCStatus().Err()
		pushBack(ctx, err)
	}
	return err
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

	observers []RPCObserver
}

func newGate(service Service, rpc string, streams, own bool, guards []Guard, observers ...Observer) *gate {
	call := Call{Method: "/" + service.Desc.ServiceName + "/" + rpc, RPC: service.RPCs[rpc], Own: own, Streams: streams}
	return &gate{call, guards, service.check, observed(call, observers)}
}

// admit returns the context that a call goes on with.
func (g *gate) admit(ctx context.Context) (_ context.Context, err error) {
	for _, guard := range g.guards {
		if guard.Admit == nil {
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
		if guard.Check == nil {
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
