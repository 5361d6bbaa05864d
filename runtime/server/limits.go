package server

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// limits are what all calls share. The memory that clients can make a server use
// follows from them.
type limits struct {
	config      Config
	notices     *notices
	memory      *memory // of requests
	tailMemory  *memory // of what tails send
	connections *connections
	draining    context.Context
	kinds       map[string]kind // of RPCs, by /service/method
	slowAfter   time.Duration   // how long a message may bring nothing while others wait for its memory
	peers       sync.Map        // from net.Addr, as gRPC knows a client, to *connection

	calls, tails atomic.Int64
	noRoom       atomic.Int64 // when there was no room for a call, in Unix nanoseconds
	endUploads   atomic.Bool  // halfway through the drain timeout
	largest      atomic.Int64 // message that was received or that a tail sent; 0 if none was
}

// kind is what limits need to know about an RPC.
type kind struct {
	uploads bool // the client sends a stream
	tail    bool // the server sends a stream, for as long as the client likes
}

func newLimits(config Config, notices *notices, draining context.Context) *limits {
	return &limits{
		config: config, notices: notices, memory: newMemory(config.MaxMemoryBytes), tailMemory: newMemory(config.MaxMemoryBytes),
		draining: draining, kinds: map[string]kind{}, slowAfter: 2 * time.Second,
	}
}

// letIn lets a call in, or not, once gRPC has its headers.
func (l *limits) letIn(ctx context.Context, info *tap.Info) (context.Context, error) {
	from, _ := peer.FromContext(ctx)
	value, known := l.peers.Load(from.Addr)
	kind, served := l.kinds[info.FullMethodName]
	if !known || !served {
		return ctx, nil // gRPC answers Unimplemented at once
	}
	c := value.(*connection)
	if l.calls.Add(1) > int64(l.config.MaxCalls) && !l.makeRoomForCall() {
		l.calls.Add(-1)
		l.notices.reached("--max-calls", c.from)
		return nil, status.Errorf(codes.ResourceExhausted, "the server has %d calls under way, as many as it takes (--max-calls): try again later", l.config.MaxCalls)
	}
	call := &call{Context: ctx, of: c, limits: l, kind: kind}
	call.messages = call.first[:0]
	if kind.tail && !l.letTailIn(c) {
		l.calls.Add(-1)
		l.notices.reached("--max-tails", c.from)
		return nil, status.Errorf(codes.ResourceExhausted, "the server sends as many streams as it may (--max-tails is %d, half of them for one connection): try again later", l.config.MaxTails)
	}
	c.mu.Lock()
	call.stream, call.ended = c.stream, c.complete
	c.calls[call.stream] = call
	c.mu.Unlock()
	return call, nil
}

// letTailIn counts a tail of a connection, and reports whether there is room for it.
func (l *limits) letTailIn(c *connection) bool {
	most := int64(l.config.MaxTails)
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.tails.Add(1) > most || c.tails > 0 && int64(c.tails) >= most/2 {
		l.tails.Add(-1)
		return false
	}
	c.tails++
	return true
}

// errNoMemory is the error of take if there is no memory in time.
var errNoMemory = errors.New("no memory in time")

// take takes memory for a message of a connection, and waits for it until a timeout
// or the end of ctx. While the server drains it waits for a moment only: those that
// hold the memory may be clients that never send the rest, or never read.
func (l *limits) take(ctx context.Context, memory *memory, of *connection, bytes int64, timeout time.Duration) (int64, error) {
	if got, ok := memory.takeNow(of, bytes); ok {
		return got, nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer context.AfterFunc(l.draining, func() { time.AfterFunc(drainGrace, cancel) })()
	got, err := memory.take(ctx, of, bytes)
	switch {
	case err == nil:
		return got, nil
	case l.draining.Err() != nil:
		return 0, errStopping
	default:
		l.notices.reached("--max-memory-bytes", of.from)
		return 0, errNoMemory
	}
}

// noRoomFor is how long a server that is full of calls at work is taken to be.
const noRoomFor = 10 * time.Millisecond

// makeRoomForCall forgets calls that ended before their handler began, or else
// ends the call that has waited for its client for longest, of the connection with
// most calls that wait. It reports whether there was one. If there was none a
// moment ago, it doesn't look again.
func (l *limits) makeRoomForCall() bool {
	now := time.Now().UnixNano()
	if now-l.noRoom.Load() < int64(noRoomFor) {
		return false
	}
	var longest *call
	most, room := 0, false
	for _, c := range l.connections.all() {
		c.mu.Lock()
		waiting, first := 0, (*call)(nil)
		for id, call := range c.calls {
			switch {
			case call.endedEarly():
				c.remove(id)
				room = true
			case call.waiting && call.cut == nil:
				waiting++
				if first == nil || call.waits.Before(first.waits) {
					first = call
				}
			}
		}
		if waiting > most {
			longest, most = first, waiting
		}
		c.mu.Unlock()
	}
	if room {
		return true
	}
	if longest == nil {
		l.noRoom.Store(now)
		return false
	}
	longest.of.mu.Lock()
	defer longest.of.mu.Unlock()
	if !longest.waiting {
		return false // no longer
	}
	l.notices.reached("--max-calls", longest.of.from)
	longest.end(status.Errorf(codes.ResourceExhausted, "the server has %d calls under way, as many as it takes (--max-calls), and this one waited for its client", l.config.MaxCalls))
	return true
}

// makeRoomForMessage ends the call whose message has brought nothing for longest,
// of the connection whose messages have most memory, if that is long.
func (l *limits) makeRoomForMessage() {
	c, _ := l.memory.most()
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var slowest *call
	for _, call := range c.calls {
		if call.receiving && call.cut == nil && (slowest == nil || call.progress.Before(slowest.progress)) {
			slowest = call
		}
	}
	if slowest != nil && time.Since(slowest.progress) > l.slowAfter {
		slowest.end(status.Error(codes.ResourceExhausted, "the request arrives too slowly for a server that has no memory left for others (--max-memory-bytes): try again later"))
	}
}

// bound returns a service whose calls keep to the limits. Unary RPCs become
// streams of one message each way, since that is how the server gets to see a
// request before gRPC has received and decoded all of it.
func (l *limits) bound(service Service, i interceptor, guards []Guard, ours bool) *grpc.ServiceDesc {
	desc := *service.Desc
	desc.Methods, desc.Streams = nil, nil
	for _, method := range service.Desc.Methods {
		rpc := newUnary(i, newGate(service, method.MethodName, ours, guards), method.Handler)
		l.kinds[rpc.gate.call.Method] = kind{}
		desc.Streams = append(desc.Streams, grpc.StreamDesc{
			StreamName: method.MethodName,
			Handler: func(impl any, stream grpc.ServerStream) error {
				s := l.begin(stream)
				defer s.finish()
				return rpc.answer(impl, s)
			},
		})
	}
	for _, stream := range service.Desc.Streams {
		handler, gate := stream.Handler, newGate(service, stream.StreamName, ours, guards)
		info := &grpc.StreamServerInfo{
			FullMethod: gate.call.Method, IsClientStream: stream.ClientStreams, IsServerStream: stream.ServerStreams,
		}
		l.kinds[info.FullMethod] = kind{uploads: stream.ClientStreams, tail: stream.ServerStreams && !stream.ClientStreams && !ours}
		stream.Handler = func(impl any, stream grpc.ServerStream) error {
			s := l.begin(stream)
			defer s.finish()
			return i.stream(impl, s, gate, info, handler)
		}
		desc.Streams = append(desc.Streams, stream)
	}
	return &desc
}

// sawMessage notes the length of a message.
func (l *limits) sawMessage(length int64) {
	for largest := l.largest.Load(); length > largest; largest = l.largest.Load() {
		if l.largest.CompareAndSwap(largest, length) {
			return
		}
	}
}
