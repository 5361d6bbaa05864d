//runtime:used

package servertest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
)

// Together tests the RPCs of a service with calls of all of them at once, which share what
// the service keeps. Under the race detector it finds what they share without a lock. serve
// runs the service, and returns how to make a call of each, by the names that gRPC has for
// them.
func Together(t *testing.T, options Options, serve func(testing.TB) map[string]func(context.Context) error) {
	if t.Failed() {
		return // what failed for one RPC would fail here as well
	}
	options.part(t, "calls of all RPCs at once are answered", func(t *testing.T) {
		calls := serve(t)
		names := slices.Sorted(maps.Keys(calls))
		rounds := make([]func(context.Context) context.Context, len(names))
		for i := range rounds {
			rounds[i] = meeting(int64(options.callers()))
		}
		var group sync.WaitGroup
		checked := make([]sync.Once, len(names)) // the first wrong answer of each RPC says enough
		for caller := range options.callers() {
			group.Go(func() {
				for i := range names {
					at := (caller + i) % len(names)                                                 // each caller begins with another
					ctx, cancel := context.WithTimeout(rounds[i](options.context(t)), answerTime/4) // one may wait for something
					err := calls[names[at]](ctx)
					cancel()
					if wrongCode(err) {
						checked[at].Do(func() { checkCode(t, names[at], "a call while others were made", err) })
					}
				}
			})
		}
		group.Wait()
	})
}
