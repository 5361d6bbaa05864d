// Package bulk makes many calls of one unary RPC by one stream: a lane. The server handles
// each as the single call that it would otherwise be, and answers each by itself, in any
// order. So a service whose only RPC is unary takes as many events as one with a stream.
//
// A lane is a stream beside its RPC: that of "/shop.v1.Orders/Place" is
// "/shop.v1.Orders/Place.bulk". A server that has none answers Unimplemented, and then the
// calls are made one by one.
package bulk

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// Call is a call of a unary RPC.
type Call struct {
	// ID is the id of the event in the request, which the call carries as its metadata
	// event-id; "" for none.
	ID string
	// Request is the encoded message. It must not change before Done is called.
	Request []byte
	// Metadata goes with the call, such as a traceparent. If it has others than those that
	// [Carries] allows, the call is made as a single one. It must not change before Done is
	// called.
	Metadata metadata.MD
	// Done is called exactly once. It must not block: the answers to other calls wait for
	// it. It may be called before [Lane.Send] returns.
	Done func(Answer)
}

// Answer is how a call ended.
type Answer struct {
	Reply           []byte // the encoded message, which belongs to the receiver
	Header, Trailer metadata.MD
	Err             error // one of gRPC's, with a code; nil if there is a reply
	// RetryAfter is how long the server asks to wait before the next try; 0 if it asks for
	// none.
	RetryAfter time.Duration
	// Sent is false if the call certainly never reached a handler.
	Sent bool
}

// Option is an option of [Open].
type Option func(*Lane)

// Timeout says how long a call may take, from when it is taken to its answer. By default
// it is 30 s. It is counted in milliseconds.
func Timeout(timeout time.Duration) Option {
	return func(l *Lane) { l.timeout = max(timeout, time.Millisecond) }
}

// Window bounds the calls under way, and the bytes of their requests. By default they are
// 1024 and 4 MiB. A request that is larger is taken when it is the only one.
func Window(calls, bytes int) Option {
	return func(l *Lane) { l.mostCalls, l.mostBytes = max(calls, 1), max(bytes, 1) }
}

const (
	// What a message of calls has, unless a single call is larger. A server takes it
	// without being asked for memory.
	messageCalls = 256
	messageBytes = 16<<10 - 64
	// largestCall is the largest call that goes by the lane.
	largestCall = MaxMessage - 1<<10
	// callOverhead is what a call counts for beside its request.
	callOverhead = 64
	// mostSingles is how many calls are made one by one at the same time.
	mostSingles = 64
	// A server that had no lane is asked again after lookAgain.
	lookAgain = time.Minute
	// A stream takes no further calls after streamAge: another server of the same name
	// may have less to do. One without calls ends then.
	streamAge = time.Minute
	// mostGoodbye is how long the server may take to end a stream.
	mostGoodbye = 10 * time.Second
)

// Lane makes calls of one unary RPC, many at a time. Its methods may be called from many
// goroutines at once.
//
// It does not try calls again: one whose stream is lost ends with code Unavailable, and may
// have been handled. The next ones go by a new stream. The credentials and the metadata of
// the connection go with a stream when it is opened: after an answer with code
// Unauthenticated the next calls go by a new stream.
type Lane struct {
	conn                 grpc.ClientConnInterface
	method               string
	timeout              time.Duration
	mostCalls, mostBytes int
	singles              chan struct{}   // has one for each call that is made by itself
	ctx                  context.Context // of all calls and streams
	cancel               context.CancelFunc
	receivers            sync.WaitGroup

	mu      sync.Mutex
	wake    sync.Cond // of mu: there is something to send, or nothing will be any longer
	calls   int       // under way: taken, and not answered
	bytes   int       // of them
	waiting []*waiter // for room, the first is next
	queue   []*taken  // not sent yet
	begun   bool      // whether the goroutine runs that sends
	ticking bool      // whether a look at the deadlines is due
	closing bool
	empty   sync.Cond   // of mu: the lane is closed, and has no calls or no sender
	late    *time.Timer // ends the streams that the server does not, after the last call
	stream  *stream     // which takes the next calls; nil if there is none
	retired []*stream   // that get no further calls, and don't know it yet
	streams map[*stream]bool
	pause   time.Time // nothing is sent before that
	pausing bool      // whether the sender will be woken after that
	pushed  int       // single calls in a row that the server asked to try again later
	failed  int       // streams in a row that brought nothing
	cut     int       // streams in a row that were opened, and lost without an answer
	lacks   time.Time // until when the server counts as one without lanes
	has     bool      // the server has the lane
}

// taken is a call under way.
type taken struct {
	Call
	deadline time.Time
	bytes    int
}

// waiter is a Send that waits for room.
type waiter struct {
	call    *Call
	decided chan struct{} // closed once taken says whether it was
	taken   bool
}

// Open returns a lane for the calls of an RPC, such as "/shop.v1.Orders/Place". It opens a
// stream when there are calls.
func Open(conn grpc.ClientConnInterface, method string, options ...Option) *Lane {
	l := &Lane{
		conn: conn, method: method, timeout: 30 * time.Second, mostCalls: 1024, mostBytes: 4 << 20,
		singles: make(chan struct{}, mostSingles), streams: map[*stream]bool{},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.wake.L, l.empty.L = &l.mu, &l.mu
	for _, option := range options {
		option(l)
	}
	return l
}

// NotTaken is the error of [Lane.Send] for calls that it has not taken: the last ones of
// those that it got. Their Done is not called.
type NotTaken struct {
	Calls int
	Err   error // has a code of gRPC
}

// Error implements error.
func (e *NotTaken) Error() string { return fmt.Sprintf("%d calls were not taken: %v", e.Calls, e.Err) }

// Unwrap returns why they were not.
func (e *NotTaken) Unwrap() error { return e.Err }

// Send takes calls, in their order, and waits while there is no room for the next. Their
// answers go to their Done. If ctx ends before, or the lane is closed, the error is a
// [NotTaken]: none of the remaining calls was taken.
func (l *Lane) Send(ctx context.Context, calls ...Call) error {
	for len(calls) > 0 {
		n, w := l.take(calls)
		if calls = calls[n:]; len(calls) == 0 {
			break
		}
		if w == nil {
			return &NotTaken{len(calls), errClosed}
		}
		select {
		case <-w.decided:
		case <-ctx.Done():
			if l.giveUp(w) {
				return &NotTaken{len(calls), status.FromContextError(ctx.Err()).Err()}
			}
		}
		if !w.taken {
			return &NotTaken{len(calls), errClosed}
		}
		calls = calls[1:]
	}
	return nil
}

var errClosed = status.Error(codes.Canceled, "the lane is closed")

// take takes calls for which there is room, and returns how many, and a waiter for the
// next; nil if no further ones are taken.
func (l *Lane) take(calls []Call) (n int, _ *waiter) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return 0, nil
	}
	for n < len(calls) && len(l.waiting) == 0 && l.fits(&calls[n]) {
		l.enqueue(&calls[n], now)
		n++
	}
	if n > 0 {
		l.begin()
	}
	if n == len(calls) {
		return n, nil
	}
	w := &waiter{call: &calls[n], decided: make(chan struct{})}
	l.waiting = append(l.waiting, w)
	return n, w
}

func sizeOf(c *Call) int { return len(c.Request) + len(c.ID) + callOverhead }

// fits reports whether there is room for a call. The lock is held.
func (l *Lane) fits(c *Call) bool {
	return l.calls == 0 || l.calls < l.mostCalls && l.bytes+sizeOf(c) <= l.mostBytes
}

// enqueue takes a call. The lock is held.
func (l *Lane) enqueue(c *Call, now time.Time) {
	t := &taken{Call: *c, deadline: now.Add(l.timeout), bytes: sizeOf(c)}
	l.calls++
	l.bytes += t.bytes
	l.queue = append(l.queue, t)
}

// begin makes the calls of the queue go out. The lock is held.
func (l *Lane) begin() {
	if !l.begun {
		l.begun = true
		go l.run()
	}
	if !l.ticking {
		l.ticking = true
		time.AfterFunc(l.tickEvery(), l.tick)
	}
	l.wake.Signal()
}

// giveUp removes a waiter, and reports whether it was not decided yet.
func (l *Lane) giveUp(w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting, w)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	l.next()
	return true
}

// next takes calls that wait, as far as there is room. The lock is held.
func (l *Lane) next() {
	n := 0
	for ; n < len(l.waiting) && (l.closing || l.fits(l.waiting[n].call)); n++ {
		w := l.waiting[n]
		if w.taken = !l.closing; w.taken {
			l.enqueue(w.call, time.Now())
		}
		close(w.decided)
	}
	if n > 0 {
		l.waiting = slices.Delete(l.waiting, 0, n)
		l.begin()
	}
}

// done answers calls, which are no longer under way.
func (l *Lane) done(calls []*taken, answer Answer) {
	if len(calls) == 0 {
		return
	}
	for _, t := range calls {
		if t.Done != nil {
			t.Done(answer)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave(calls)
}

// leave no longer counts calls. The lock is held.
func (l *Lane) leave(calls []*taken) {
	l.calls -= len(calls)
	for _, t := range calls {
		l.bytes -= t.bytes
	}
	l.next()
	if l.calls == 0 && l.closing {
		l.end()
	}
}

// end lets the sender end, of a lane that is closed and has no calls. The lock is held.
func (l *Lane) end() {
	if l.late == nil {
		l.late = time.AfterFunc(time.Second, l.cancel)
	}
	l.wake.Signal()
	l.empty.Broadcast()
}

// retire makes a stream end once its calls are answered. The lock is held.
func (l *Lane) retire(s *stream) {
	l.stream, s.retired = nil, time.Now()
	l.retired = append(l.retired, s) // whose goroutine alone may say that nothing more comes
	l.wake.Signal()
}

// Bulk reports whether the server has the lane, as far as that is known.
func (l *Lane) Bulk() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.has
}

// Close takes no further calls, and returns once all that were taken are answered, which
// is within their timeout.
func (l *Lane) Close() error {
	l.mu.Lock()
	l.closing = true
	l.next()
	l.wake.Signal()
	if l.calls == 0 {
		l.end()
	}
	for l.calls > 0 || l.begun {
		l.empty.Wait()
	}
	defer l.late.Stop()
	l.mu.Unlock()
	l.receivers.Wait()
	l.cancel()
	return nil
}

// Abandon closes the lane at once: calls under way end with code Canceled.
func (l *Lane) Abandon() {
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	l.cancel()
	_ = l.Close()
}

// tickEvery is how often deadlines are looked at.
func (l *Lane) tickEvery() time.Duration {
	return min(max(l.timeout/10, time.Millisecond), time.Second)
}

// tick ends calls whose time is over, and a stream without calls that is old.
func (l *Lane) tick() {
	now := time.Now()
	l.mu.Lock()
	over := l.expire(&l.queue, now)
	var sent []*taken
	for s := range l.streams {
		late, brought, silent, left := s.expire(now)
		sent = append(sent, late...)
		if len(late) > 0 && !brought && l.stream == s { // such as by a proxy that does not pass on streams
			l.lacks = now.Add(lookAgain)
			l.retire(s)
		}
		if silent { // and may not even read: then the sender is stuck in it
			if l.stream == s {
				l.retire(s)
			}
			s.cancel()
		}
		if left == 0 && !s.retired.IsZero() && now.Sub(s.retired) > mostGoodbye {
			s.cancel()
		}
	}
	if s := l.stream; s != nil && l.calls == 0 && now.Sub(s.begun) > streamAge {
		l.retire(s)
	}
	l.ticking = l.calls > 0 || len(l.streams) > 0
	if l.ticking {
		time.AfterFunc(l.tickEvery(), l.tick)
	}
	l.mu.Unlock()
	l.done(over, Answer{Err: errLate(l.timeout)})
	l.done(sent, Answer{Err: errLate(l.timeout), Sent: true})
}

// expire takes calls from a queue whose time is over. The lock is held.
func (l *Lane) expire(queue *[]*taken, now time.Time) (over []*taken) {
	rest := (*queue)[:0]
	for _, t := range *queue {
		if now.After(t.deadline) {
			over = append(over, t)
		} else {
			rest = append(rest, t)
		}
	}
	clear((*queue)[len(rest):])
	*queue = rest
	return over
}

func errLate(timeout time.Duration) error {
	return status.Errorf(codes.DeadlineExceeded, "there was no answer within %s", timeout)
}

// checkCall returns why a call can't be made.
func checkCall(c *Call) error {
	if err := eventid.Check(c.ID); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return CheckMetadata(c.Metadata)
}
