//runtime:with rejected

package server

import (
	"context"
	"errors"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Keeper keeps requests that take events and were refused as invalid. [KeepRefused] makes
// a server use it.
type Keeper interface {
	// Keep takes note of a request. The answer waits for it. It is called from many
	// goroutines at once.
	Keep(context.Context, Refused)
	// Run runs while the server does, and ends when ctx does. again calls a method with
	// a request as a client would that passes all guards, in this process: the check by
	// the rules is made, and that of the source if ctx has one ([OnlySource]);
	// interceptors and guards are not called.
	Run(ctx context.Context, again func(ctx context.Context, method string, request []byte) error) error
}

// Refused is a request that was answered with InvalidArgument, or could not be decoded.
type Refused struct {
	Method  string // as "/shop.v1.Orders/Place"
	Request []byte // as it was received: in a stream of them, the last one; the receiver's own
	Err     error  // as the caller got it
	// OnlySource is the only source whose events the caller may send, if HasOnlySource
	// (see [OnlySource]).
	OnlySource    string
	HasOnlySource bool
}

// KeepRefused makes the server hand to a keeper what it refuses of requests that take
// events: by rules, by the bounds of the event log, or because it can't be decoded.
// There can be one keeper.
func KeepRefused(keeper Keeper) Option {
	return option(func(all *services) {
		all.keep = func(ctx context.Context, g *gate, answer error) {
			c, _ := ctx.Value(callKey{}).(*call)
			if answer == nil || g.call.RPC.Sources == nil || c == nil || c.original == nil ||
				status.Code(answer) != codes.InvalidArgument && !c.undecoded {
				return
			}
			source, only := ctx.Value(onlySourceKey{}).(string)
			keeper.Keep(ctx, Refused{g.call.Method, c.original, answer, source, only})
		}
		alongsideOf(all).add("what keeps refused requests", func(ctx context.Context) error { return keeper.Run(ctx, all.again) })
	})
}

// again is what [Keeper].Run gets.
func (all *services) again(ctx context.Context, method string, request []byte) error {
	for _, service := range all.served {
		name, ok := strings.CutPrefix(method, "/"+service.Desc.ServiceName+"/")
		if !ok {
			continue
		}
		g := newGate(service, name, false, false, nil, unobserved{})
		decode := func(into any) error {
			message, ok := into.(proto.Message)
			if !ok {
				return status.Error(codes.Unimplemented, "the request is not a message of protobuf")
			}
			if err := proto.Unmarshal(request, message); err != nil {
				return status.Errorf(codes.InvalidArgument, "the request can't be decoded: %v", err)
			}
			if err := g.passOnlySource(ctx, message); err != nil {
				return err
			}
			return g.pass(ctx, message)
		}
		for _, one := range service.Desc.Methods {
			if one.MethodName == name {
				_, err := one.Handler(service.Impl, ctx, decode, nil)
				return err
			}
		}
		for _, one := range service.Desc.Streams {
			if one.StreamName == name {
				err := one.Handler(service.Impl, &oneRequest{ctx: ctx, decode: decode})
				if errors.Is(err, io.EOF) {
					err = nil
				}
				return err
			}
		}
	}
	return status.Errorf(codes.Unimplemented, "this server has no method %s", method)
}

// passOnlySource returns why a request is refused that may have events of one source
// only. It was perhaps not checked when it came, because it could not be decoded.
func (g *gate) passOnlySource(ctx context.Context, request proto.Message) error {
	only, ok := ctx.Value(onlySourceKey{}).(string)
	if !ok || g.call.RPC.Sources == nil {
		return nil
	}
	return g.call.RPC.Sources(request, func(source string) error {
		if source != only {
			return status.Errorf(codes.PermissionDenied, "the request has an event of another source than %q, the only one that its sender may send", only)
		}
		return nil
	})
}

// oneRequest is a stream of one request, whose replies are dropped.
type oneRequest struct {
	ctx    context.Context
	decode func(into any) error // nil once it was called
}

func (s *oneRequest) RecvMsg(into any) error {
	if s.decode == nil {
		return io.EOF
	}
	decode := s.decode
	s.decode = nil
	return decode(into)
}

func (s *oneRequest) Context() context.Context     { return s.ctx }
func (s *oneRequest) SendMsg(any) error            { return nil }
func (s *oneRequest) SetHeader(metadata.MD) error  { return nil }
func (s *oneRequest) SendHeader(metadata.MD) error { return nil }
func (s *oneRequest) SetTrailer(metadata.MD)       {}

var _ grpc.ServerStream = (*oneRequest)(nil)
