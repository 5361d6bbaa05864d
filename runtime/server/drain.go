package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
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

// DrainStreams returns an interceptor for a grpc.Server of your own. Without it
// GracefulStop waits for streams that never end by themselves. Once ctx has ended:
//
//   - [UntilDrain] ends, and so do the tails that generated code makes;
//   - a stream on which nothing comes from its client for half a second ends, and so
//     does one on which something comes, between two messages, after five seconds;
//   - a client that watches gRPC's health service is let go.
//
// All of them end with code Unavailable, so that their clients call another server. Other
// calls go on: to bound those, call Stop some time after GracefulStop. Give the
// interceptor to [grpc.ChainStreamInterceptor] as the last one, so that yours see how
// streams end.
func DrainStreams(ctx context.Context) grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		within := context.WithValue(stream.Context(), drainKey{}, ctx)
		watches := info.FullMethod == grpc_health_v1.Health_Watch_FullMethodName
		if watches {
			var stop context.CancelFunc
			within, stop = UntilDrain(within)
			defer stop()
		}
		receiver := newInterruptible(stream, within, ctx)
		defer receiver.end()
		err := next(server, receiver)
		if watches && context.Cause(within) == errStopping {
			return errStopping
		}
		return err
	}
}

// drainUploads is how long the clients of a user's own server may send on.
const drainUploads = 5 * time.Second

// interruptible is a stream of a user's own server. Once that drains, RecvMsg does not
// wait for long. gRPC only returns from RecvMsg when something comes, or the call ends,
// so that another goroutine waits there: one for the whole stream, since one for each
// message takes longer than gRPC needs for a small message.
type interruptible struct {
	grpc.ServerStream
	ctx      context.Context
	received chan error  // what each RecvMsg returned, and once errDrains
	forget   func() bool // that the server may drain
	ends     time.Time   // when it ends though messages come; set once the server drains
	stopped  bool

	mu    sync.Mutex
	into  chan any // of the goroutine that receives; nil before the first message
	ended bool     // whether the handler has returned
}

// errDrains interrupts RecvMsg.
var errDrains = errors.New("the server drains")

func newInterruptible(stream grpc.ServerStream, ctx, draining context.Context) *interruptible {
	s := &interruptible{ServerStream: stream, ctx: ctx, received: make(chan error, 2)}
	s.forget = context.AfterFunc(draining, func() { s.received <- errDrains })
	return s
}

func (s *interruptible) Context() context.Context { return s.ctx }

func (s *interruptible) RecvMsg(into any) error {
	if s.stopped {
		return errStopping
	}
	if !s.receive(into) {
		return s.ServerStream.RecvMsg(into)
	}
	if s.ends.IsZero() {
		if err := <-s.received; err != errDrains {
			return err
		}
		s.ends = time.Now().Add(drainUploads)
	}
	timeout := time.NewTimer(min(drainGrace, time.Until(s.ends)))
	defer timeout.Stop()
	select {
	case err := <-s.received:
		return err
	case <-timeout.C:
		s.stopped = true
		return errStopping
	}
}

// receive begins to receive a message. It reports false once the handler has returned:
// a goroutine that it left behind may still ask for messages, which gRPC refuses.
func (s *interruptible) receive(into any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	if s.into == nil {
		s.into = make(chan any, 1)
		go func(all <-chan any) {
			for into := range all {
				s.received <- s.ServerStream.RecvMsg(into)
			}
		}(s.into)
	}
	s.into <- into
	return true
}

// end ends the goroutine that receives, as soon as gRPC lets it go.
func (s *interruptible) end() {
	s.forget()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.into != nil {
		close(s.into)
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
