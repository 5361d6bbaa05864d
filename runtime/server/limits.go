package server

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/types/known/durationpb"
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
	kinds       map[string]kind   // of RPCs, by /service/method
	unaries     map[string]*unary // those in which neither side streams, in the same way
	slowAfter   time.Duration     // how long a message may bring nothing while others wait for its memory
	peers       sync.Map          // from net.Addr, as gRPC knows a client, to *connection

	keepsRefused bool // requests as they are received, for a keeper

	calls, tails atomic.Int64
	idleWorkers  atomic.Int64 // of lanes
	asides       atomic.Int64 // requests to ports that are not calls
	waiting      waiting
	endUploads   atomic.Bool  // halfway through the drain timeout
	largest      atomic.Int64 // message that was received or that a tail sent; 0 if none was
}

// kind is what limits need to know about an RPC.
type kind struct {
	method  string
	uploads bool // the client sends a stream
	tail    bool // the server sends a stream, for as long as the client likes
}

func newLimits(config Config, notices *notices, draining context.Context) *limits {
	return &limits{
		config: config, notices: notices, memory: newMemory(config.MaxMemoryBytes), tailMemory: newMemory(config.MaxMemoryBytes),
		draining: draining, kinds: map[string]kind{}, unaries: map[string]*unary{}, slowAfter: 2 * time.Second,
	}
}

// letIn lets a call in, or not, once gRPC has its headers.
func (l *limits) letIn(ctx context.Context, info *tap.Info) (context.Context, error) {
	from, _ := peer.FromContext(ctx)
	value, known := l.peers.Load(from.Addr)
	kind, served := l.kinds[info.FullMethodName]
	switch {
	case !known && !served:
		return ctx, nil // gRPC answers Unimplemented at once
	case !known:
		return nil, status.Error(codes.Unavailable, "the connection was closed")
	}
	c := value.(*connection)
	c.unsure.Store(false)
	if !served {
		if l.unaries[strings.TrimSuffix(info.FullMethodName, ".bulk")] == nil { // otherwise a client asks for a lane
			l.notices.unhandled(UnknownRPC, info.FullMethodName, c.from)
		}
		return ctx, nil // gRPC answers Unimplemented at once
	}
	if err := l.enter(c, kind); err != nil {
		return nil, err
	}
	call := newCall(ctx, c, kind)
	c.mu.Lock()
	call.stream, call.ended = c.stream, c.complete
	c.calls[call.stream] = call
	c.mu.Unlock()
	return call, nil
}

func newCall(ctx context.Context, of *connection, k kind) *call {
	c := &call{Context: ctx, of: of, limits: of.of.limits, kind: k}
	c.messages = c.first[:0]
	return c
}

// share reports whether an address that has so many may have one more, of most, of which
// so many are left. One address may take half of them. Each further one that takes as
// much as it can finds less, but leaves something for one that has few: of 4,096, eight
// that came one after the other leave 270, of which another may have 30.
func share(has, left, most int64) bool {
	return left > 0 && float64(has)*float64(most) < 2*float64(left)*float64(left)
}

// overloaded returns the error of a call for which there is no room now. It says after what
// time to try again: without that, the code may mean that a request is too large.
func overloaded(format string, values ...any) error {
	s := status.Newf(codes.ResourceExhausted, format, values...)
	if with, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(100 * time.Millisecond)}); err == nil {
		s = with
	}
	return s.Err()
}

// enter counts a call of a connection, or returns why it is not let in.
func (l *limits) enter(c *connection, k kind) error {
	most := int64(l.config.MaxCalls)
	if has := c.address.calls.Add(1) - 1; !share(has, most-l.calls.Add(1)+1, most) {
		l.leave(c, kind{}) // those that look for room must not take it
		if !l.makeRoomForCall(c.address, has) {
			l.notices.reached("--max-calls", c.from)
			return overloaded("the server has as many calls under way as it takes (--max-calls is %d, half of them for one address): try again later", most)
		}
		c.address.calls.Add(1)
		l.calls.Add(1)
	}
	if !k.tail {
		return nil
	}
	most = int64(l.config.MaxTails)
	if has := c.address.tails.Add(1) - 1; !share(has, most-l.tails.Add(1)+1, most) {
		l.leave(c, k)
		l.notices.reached("--max-tails", c.from)
		return overloaded("the server sends as many streams as it may (--max-tails is %d, half of them for one address): try again later", most)
	}
	return nil
}

// leave no longer counts a call.
func (l *limits) leave(c *connection, k kind) {
	l.calls.Add(-1)
	c.address.calls.Add(-1)
	if k.tail {
		l.tails.Add(-1)
		c.address.tails.Add(-1)
	}
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

// waiting are calls that have waited for their clients for longest: of one address, or
// of all. A search takes long if there are many calls: so it finds many at once, and after
// one that has found none, the next one waits for a moment.
type waiting struct {
	mu     sync.Mutex
	looked time.Time // when there was none
	calls  []waiter  // those that have waited for longest are last
}

type waiter struct {
	*call
	since time.Time
}

const (
	lookEvery   = 10 * time.Millisecond
	mostWaiters = 64
	// How many calls of an address may be about to end to make room. So one that makes
	// calls faster than they end doesn't get more than its share.
	mostEvicted = 4
)

// makeRoomForCall ends the call that has waited for its client for longest: of the
// address of a new call if that has its share of all calls, else of that which has most.
// Where none waits, it closes a connection whose client does not read its
// answers. It reports whether there was one.
func (l *limits) makeRoomForCall(from *address, has int64) bool {
	waiting, share := &from.waiting, int64(l.config.MaxCalls)/int64(l.connections.addresses()+1)
	switch {
	case has < share:
		waiting, from = &l.waiting, nil
	case from.evicted.Load() >= mostEvicted:
		return false // they make room soon
	}
	waiting.mu.Lock()
	defer waiting.mu.Unlock()
	for {
		for n := len(waiting.calls) - 1; n >= 0; n-- {
			next := waiting.calls[n]
			waiting.calls = waiting.calls[:n]
			if next.evict(next.since, overloaded("the server has as many calls under way as it takes (--max-calls is %d), and this one waited for its client", l.config.MaxCalls)) {
				l.notices.reached("--max-calls", next.of.from)
				return true
			}
		}
		if time.Since(waiting.looked) < lookEvery {
			return false
		}
		found, room := l.longestWaiting(from, share)
		if waiting.calls = found; room {
			return true
		}
		if len(found) == 0 {
			waiting.looked = time.Now()
			return false
		}
	}
}

// longestWaiting returns the calls that have waited for longest, the longest last, of an
// address, or of that which has most, and its share or more. Or it makes room at once: it forgets
// calls that ended before their handler began, or closes a connection whose client has
// not read its answers for a while.
func (l *limits) longestWaiting(from *address, share int64) (longest []waiter, room bool) {
	by := map[*address][]waiter{}
	var still *connection
	for _, c := range l.connections.all() {
		if from != nil && c.address != from || from == nil && c.address.calls.Load() < share {
			continue
		}
		c.mu.Lock()
		for id, call := range c.calls {
			switch {
			case call.endedEarly():
				c.remove(id)
				room = true
			case call.waiting && call.cut == nil:
				by[c.address] = append(by[c.address], waiter{call, call.waits})
			}
		}
		if c.unread > 0 && c.unread == len(c.calls) && c.standsStill(time.Now()) >= l.slowAfter {
			still = c
		}
		c.mu.Unlock()
	}
	most := int64(0)
	for address, calls := range by {
		if has := address.calls.Load(); has > most {
			longest, most = calls, has
		}
	}
	if !room && len(longest) == 0 && still != nil {
		l.notices.reached("--max-calls", still.from)
		still.Close()
		return nil, true
	}
	slices.SortFunc(longest, func(a, b waiter) int { return b.since.Compare(a.since) })
	return longest[max(0, len(longest)-mostWaiters):], room
}

// makeRoomForAnswer closes the connection whose answers have most memory, of those whose
// clients have read nothing for a while.
func (l *limits) makeRoomForAnswer() {
	var still *connection
	most := int64(0)
	for c, has := range l.tailMemory.holders() {
		c.mu.Lock()
		if has > most && c.standsStill(time.Now()) >= 2*l.slowAfter {
			still, most = c, has
		}
		c.mu.Unlock()
	}
	if still != nil {
		l.notices.reached("--max-memory-bytes", still.from)
		still.Close()
	}
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
		slowest.end(overloaded("the request arrives too slowly for a server that has no memory left for others (--max-memory-bytes): try again later"))
	}
}

// bound returns a service whose calls keep to the limits. Unary RPCs become
// streams of one message each way, since that is how the server gets to see a
// request before gRPC has received and decoded all of it.
func (l *limits) bound(service Service, i interceptor, guards []Guard, observer observer, ours bool) *grpc.ServiceDesc {
	desc := *service.Desc
	desc.Methods, desc.Streams = nil, nil
	for _, method := range service.Desc.Methods {
		rpc := newUnary(i, newGate(service, method.MethodName, false, ours, guards, observer), method.Handler)
		l.kinds[rpc.gate.call.Method], l.unaries[rpc.gate.call.Method] = kind{method: rpc.gate.call.Method}, rpc
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
		handler, gate := stream.Handler, newGate(service, stream.StreamName, true, ours, guards, observer)
		info := &grpc.StreamServerInfo{
			FullMethod: gate.call.Method, IsClientStream: stream.ClientStreams, IsServerStream: stream.ServerStreams,
		}
		l.kinds[info.FullMethod] = kind{method: info.FullMethod, uploads: stream.ClientStreams, tail: stream.ServerStreams && !stream.ClientStreams && !ours}
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
