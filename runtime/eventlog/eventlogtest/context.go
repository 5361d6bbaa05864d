package eventlogtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// endsWithItsContext tests that a call whose context has ended fails for that
// reason: for errors.Is, and for a caller on the other side of the wire.
func (e Engine) endsWithItsContext(t *testing.T) {
	stopping := status.Error(codes.Unavailable, "the server is stopping")
	broken := errors.New("broken")
	past := time.Now().Add(-time.Second)
	for name, test := range map[string]struct {
		ctx  func(context.Context) (context.Context, context.CancelFunc)
		is   []error
		code codes.Code
	}{
		"canceled": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		}, []error{context.Canceled}, codes.Canceled},
		"late": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithDeadline(ctx, past)
		}, []error{context.DeadlineExceeded}, codes.DeadlineExceeded},
		"canceled for a reason": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			cancel(broken)
			return ctx, func() { cancel(nil) }
		}, []error{context.Canceled, broken}, codes.Canceled},
		"late for a reason": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithDeadlineCause(ctx, past, broken)
		}, []error{context.DeadlineExceeded, broken}, codes.DeadlineExceeded},
		"canceled with a code": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			cancel(stopping)
			return ctx, func() { cancel(nil) }
		}, []error{context.Canceled, stopping}, codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := test.ctx(t.Context())
			defer cancel()
			log := e.empty(t)
			_, appended := log.Append(ctx, event("a"))
			_, held := log.Hold(ctx, "mailer")
			_, stats := log.Stats(ctx)
			var tail error
			for _, tail = range log.Tail(ctx, eventlog.From{}) {
			}
			for call, err := range map[string]error{"append": appended, "hold": held, "stats": stats, "tail": tail} {
				for _, want := range test.is {
					if !errors.Is(err, want) {
						t.Errorf("%s: %v is not %v", call, err, want)
					}
				}
				if got := status.Code(err); got != test.code {
					t.Errorf("%s: %v has code %v, want %v", call, err, got, test.code)
				}
			}
		})
	}
}
