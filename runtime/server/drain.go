package server

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errStopping ends calls so that their clients call another server.
var errStopping = status.Error(codes.Unavailable, "the server is stopping")

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
	stop := context.AfterFunc(drains, func() { cancel(errStopping) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

const (
	checkEvery      = 500 * time.Millisecond
	checkEveryDrain = 100 * time.Millisecond
	// A stream on which nothing comes for this long ends while the server drains,
	// and so does a call that waits for memory; one whose message stays incomplete
	// after twice as long.
	drainGrace = 500 * time.Millisecond
	// A connection on which nothing happens in this many checks is closed then.
	drainQuiet = 10
)

// watch ends calls that wait for their clients for too long, until ended is
// closed. While the server drains, it also ends what the server would wait for in
// vain. It closes the connections of clients that for a second neither have a call
// nor read what their calls send. Streams of clients that send on and on end
// between two messages, halfway through the drain timeout.
func (l *limits) watch(ended <-chan struct{}) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	drains, since := l.draining.Done(), time.Time{}
	quiet := map[*connection]*activity{}
	for {
		select {
		case <-ended:
			return
		case <-drains:
			drains, since = nil, time.Now()
			tick.Reset(checkEveryDrain)
		case now := <-tick.C:
			if !since.IsZero() && now.Sub(since) >= l.config.DrainTimeout/2 {
				l.endUploads.Store(true)
			}
			l.connections.forgetAddresses()
			for _, c := range l.connections.all() {
				c.mu.Lock()
				c.standsStill(now)
				for id, call := range c.calls {
					if call.endedEarly() {
						c.remove(id)
						continue
					}
					call.check(now, since)
				}
				ends := c.ends
				c.mu.Unlock()
				if !ends.IsZero() && now.After(ends) {
					c.Close()
				}
				if since.IsZero() {
					continue
				}
				quiet[c] = c.activity(quiet[c])
				if quiet[c].quiet >= drainQuiet {
					c.Close()
				}
			}
		}
	}
}

// activity is what was last seen of a connection while the server drains.
type activity struct {
	quiet   int // checks that found it unchanged, and no call at work
	written int64
	sends   map[*call]uint64
}

func (c *connection) activity(last *activity) *activity {
	now := &activity{written: c.written.Load(), sends: map[*call]uint64{}}
	unchanged := last != nil && now.written == last.written
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.calls {
		if call.finished {
			continue
		}
		sends := call.sends.Load()
		now.sends[call] = sends
		unchanged = unchanged && sends%2 == 1 && last.sends[call] == sends // in SendMsg
	}
	if unchanged {
		now.quiet = last.quiet + 1
	}
	return now
}
