package server

import (
	"bytes"
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Keeper keeps requests that take events and were refused as invalid. KeepRefused makes
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

// keep hands a request to the keeper, if the answer to it is a refusal.
func (i interceptor) keep(ctx context.Context, g *gate, answer error) {
	if i.keeper == nil || g.call.RPC.Sources == nil || answer == nil {
		return
	}
	c, _ := ctx.Value(callKey{}).(*call)
	if c == nil || c.original == nil || status.Code(answer) != codes.InvalidArgument && !c.undecoded {
		return
	}
	source, only := ctx.Value(onlySourceKey{}).(string)
	i.keeper.Keep(ctx, Refused{g.call.Method, c.original, answer, source, only})
}

// keepOriginal takes note of a request as it was received, for a keeper.
func (c *call) keepOriginal(encoded []byte) {
	if c.limits.keepsRefused {
		c.original = bytes.Clone(encoded)
	}
}
