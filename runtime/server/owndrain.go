//runtime:used

package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
)

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
