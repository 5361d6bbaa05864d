package server

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type drainKey struct{}

// drainable is a stream whose context knows when its server drains.
type drainable struct {
	grpc.ServerStream
	ctx context.Context
}

func (d drainable) Context() context.Context { return d.ctx }

// UntilDrain returns a context that ends with ctx, the context of a stream, or
// when the server drains. In the second case its cause is an error with code
// Unavailable, so that the client calls another server. Use it in streams that
// never end by themselves: without it the server would wait for them until its
// drain timeout.
func UntilDrain(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	drains, ok := ctx.Value(drainKey{}).(context.Context)
	if !ok {
		return ctx, func() { cancel(nil) }
	}
	stop := context.AfterFunc(drains, func() { cancel(status.Error(codes.Unavailable, "the server is stopping")) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}
