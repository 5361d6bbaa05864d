package eventid

import (
	"context"
	"fmt"
	"sync/atomic"
)

// sequence numbers the events of one call.
type sequence struct {
	id   string // of the call
	last atomic.Int64
}

type sequenceKey struct{}

// Sequence returns a context for a call with any number of events: the nth of
// them has the id that came with the call, and "/n". A client that sends the
// call again, with the same id, sends the same events.
func Sequence(ctx context.Context) context.Context {
	return context.WithValue(ctx, sequenceKey{}, &sequence{id: Of(ctx, "")})
}

// Next returns how to get the ids of the next n events of a call, one after the
// other: numbered if there is a [Sequence] or n is not 1.
func Next(ctx context.Context, n int) func() string {
	numbered, found := ctx.Value(sequenceKey{}).(*sequence)
	if !found && n == 1 {
		return func() string { return Of(ctx, "") }
	}
	if !found {
		numbered = &sequence{id: Of(ctx, "")}
	}
	return func() string { return fmt.Sprintf("%s/%d", numbered.id, numbered.last.Add(1)) }
}
