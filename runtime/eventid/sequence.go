//runtime:with eventlog

package eventid

import (
	"context"
	"fmt"
	"sync/atomic"

	"google.golang.org/grpc/metadata"
)

// Of returns the id of the event with which a handler was called: the id in its
// message, else the id that came with the call, else a new one.
func Of(ctx context.Context, inMessage string) string {
	if inMessage != "" {
		return inMessage
	}
	if sent := metadata.ValueFromIncomingContext(ctx, Key); len(sent) > 0 && sent[0] != "" {
		return sent[0]
	}
	return New()
}

// A sequence numbers the events of one call.
type sequence struct {
	id   string // the id that came with the call
	last atomic.Int64
}

type sequenceKey struct{}

type onlyKey struct{}

// Only returns a context for a call with one event, whose id is that of the call: also in
// a [Sequence], or a batch, it is not numbered.
func Only(ctx context.Context) context.Context { return context.WithValue(ctx, onlyKey{}, true) }

// Sequence returns a context for a call with any number of events. The id of the
// nth is the id of the call and "/n", so that a client that sends the call again
// with the same id sends events with the same ids.
func Sequence(ctx context.Context) context.Context {
	if ctx.Value(onlyKey{}) != nil {
		return ctx
	}
	return context.WithValue(ctx, sequenceKey{}, &sequence{id: Of(ctx, "")})
}

// Next returns a function that returns the ids of the next n events of a call, one
// at a time. They are numbered if there is a [Sequence] or n is not 1.
func Next(ctx context.Context, n int) func() string {
	numbered, ok := ctx.Value(sequenceKey{}).(*sequence)
	if !ok && n == 1 {
		return func() string { return Of(ctx, "") }
	}
	if !ok {
		numbered = &sequence{id: Of(ctx, "")}
	}
	return func() string { return fmt.Sprintf("%s/%d", numbered.id, numbered.last.Add(1)) }
}
