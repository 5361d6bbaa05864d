//runtime:with server.Bulk

package server

import (
	"bytes"
	"context"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/bulk"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// lane is a stream of calls of a unary RPC.
type lane struct {
	limits   *limits
	unary    *unary
	impl     any
	stream   *boundedStream
	metadata metadata.MD // that came with the stream
	size     int         // of it
	ctx      context.Context
	ending   atomic.Bool // something cuts the lane: no further calls begin
	taken    uint64      // calls; only the reader uses it
	read     []*laneCall // that are about to join the queue; only the reader uses it

	mu       sync.Mutex
	ended    sync.Cond // of mu: a call has, while the reader waits for that
	waits    bool      // whether it does
	underWay int       // calls, also those of the queue
	laneWorkers
	answers
}

// laneWorkers handle the calls of a lane. The lock of the lane guards them.
//
// A worker that takes a call rouses another one if more calls wait, unless one was roused
// that has not looked at the queue yet. So where handlers don't wait, a few workers handle all
// calls, one after the other; where they do, such as for a disk, there is soon one for each
// call. The ones that were at work last are roused first: their stacks are large enough already.
type laneWorkers struct {
	queue  []*laneCall   // the first is next
	idle   []*laneWorker // the last one was at work last
	least  int           // of them there were since the last look at them
	looks  bool          // whether another look is due
	roused bool          // one has been, and did not look at the queue yet
	closed bool          // there are no further calls
}

// laneWorker is a goroutine that handles calls.
type laneWorker struct {
	wake    chan bool // false: the worker ends
	encoded []byte    // has room for a reply
}

// answers are those of a lane that wait to be sent. The lock of the lane guards them.
type answers struct {
	ready   sync.Cond // there is something to send, or nothing will be any longer
	sent    sync.Cond // there is room for more
	asleep  bool      // whether the sender waits
	full    []chunk   // messages, the first is next
	current chunk     // the last one, which may get more
	bytes   int       // of all
	unread  int       // answers that wait for room
	noted   bool      // the lane counts as one that is not read
	last    bool      // no further ones come
	broken  bool      // the client gets no further ones
}

// chunk is a message of answers.
type chunk struct {
	bytes *[]byte // nil for none
	held  int64   // of the memory
}

const (
	// A message of answers is full at this size.
	chunkBytes = smallMessage - 1<<10
	// Workers wait while this many bytes are unsent.
	mostAnswers = 64 << 10
	// A lane itself may use as much memory as this many calls.
	laneWeight = 2
	// mostIdle bounds the idle workers of all lanes: each has a stack, which may be large.
	mostIdle = 1024
	// An idle worker keeps room for a reply of this size.
	idleBytes = 1 << 10
)

var pool = mem.DefaultBufferPool()

func newLane(l *limits, u *unary, impl any, stream *boundedStream) *lane {
	lane := &lane{limits: l, unary: u, impl: impl, stream: stream}
	lane.ended.L, lane.ready.L, lane.sent.L = &lane.mu, &lane.mu, &lane.mu
	lane.metadata, _ = metadata.FromIncomingContext(stream.Context()) // a copy
	delete(lane.metadata, eventid.Key)
	delete(lane.metadata, requestIDKey) // else all calls would have one
	lane.size = metadataSize(lane.metadata)
	lane.ctx = metadata.NewIncomingContext(stream.Context(), lane.metadata)
	return lane
}

// run handles calls until the client sends no further ones, or the lane is cut: when the server
// drains, or a guard ends within. Calls under way then end, and are answered.
func (l *lane) run(within context.Context) error {
	if err := l.stream.SendHeader(nil); err != nil { // by which the client knows that there is a lane
		return err
	}
	until, stop := UntilDrain(within)
	defer stop()
	defer context.AfterFunc(until, func() { l.cut(context.Cause(until)) })()
	// An old connection is closed when its grace is over, and so a lane must leave it before.
	if config := l.limits.config; config.MaxConnectionAge > 0 && config.MaxConnectionAgeGrace > 0 {
		defer time.AfterFunc(config.MaxConnectionAgeGrace/2, func() { l.cut(errOld) }).Stop()
	}
	var sender sync.WaitGroup
	sender.Go(l.send)
	err := l.receive()
	l.mu.Lock()
	if err != nil {
		l.leave()
	}
	l.wait(func() bool { return l.underWay == 0 })
	l.last = true
	l.ready.Signal()
	l.close()
	l.mu.Unlock()
	sender.Wait()
	return err
}

// errOld ends a lane whose client should open another one.
var errOld = status.Error(codes.Unavailable, "the lane ends before its connection does: open another one")

// cut makes the lane receive nothing more.
func (l *lane) cut(why error) {
	c := l.stream.call
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.cut == nil {
		c.end(why)
	}
	l.ending.Store(true)
}

// cutBy returns why the lane was cut; nil if it was not.
func (l *lane) cutBy() error {
	if !l.ending.Load() {
		return nil
	}
	l.stream.call.of.mu.Lock()
	defer l.stream.call.of.mu.Unlock()
	return l.stream.call.cut
}

// wait waits until a condition holds that the end of a call can change. The lock is held.
func (l *lane) wait(until func() bool) {
	for !until() {
		l.waits = true
		l.ended.Wait()
	}
	l.waits = false
}

// receive begins the calls that the client sends.
func (l *lane) receive() error {
	for {
		var message received
		if err := l.stream.RecvMsg(&message); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		if message.data.Len() > bulk.MaxMessage {
			message.data.Free()
			return l.tooLong()
		}
		all := message.data.Materialize() // requests are parts of it
		message.data.Free()
		err := l.begin(all)
		l.enqueue()
		if err != nil {
			return err
		}
	}
}

// tooLong notes that a message is too long, and returns the error for the client.
func (l *lane) tooLong() error {
	err := status.Errorf(codes.ResourceExhausted, "a message of calls is larger than %d bytes", bulk.MaxMessage)
	l.limits.notices.unhandled(TooLarge, l.stream.call.method, l.stream.call.of.from)
	l.cut(err)
	return err
}

// mostRead is how many calls join the queue at once.
const mostRead = 64

// begin begins the calls of a message.
func (l *lane) begin(message []byte) error {
	batch := &laneBatch{ctx: l.ctx, cancel: func() {}}
	batch.left.Store(1)
	defer batch.leave()
	var cut error
	err := bulk.ReadCalls(message, func(frame bulk.CallFrame, timeout time.Duration) error {
		if !batch.begun {
			batch.begin(timeout)
		}
		if len(message) > smallMessage && len(frame.Request) < len(message)/2 {
			frame.Request = bytes.Clone(frame.Request) // a call must not keep much more than it needs
		}
		c := &laneCall{lane: l, batch: batch, frame: frame}
		c.refused = l.count(c)
		if cut = l.cutBy(); cut != nil { // the client sends the rest again, by another lane
			if c.counted {
				l.limits.leave(l.stream.call.of, kind{})
			}
			return cut
		}
		if c.refused == nil {
			c.refused = l.check(&c.frame)
		}
		if c.refused != nil { // there may be many such calls, and none holds memory
			c.frame = bulk.CallFrame{Number: frame.Number}
		}
		l.taken++
		batch.left.Add(1)
		l.read = append(l.read, c)
		if len(l.read) == mostRead {
			l.enqueue()
		}
		return nil
	})
	switch {
	case cut != nil:
		return cut
	case err != nil:
		l.limits.notices.unhandled(Undecodable, l.stream.call.method, l.stream.call.of.from)
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return nil
}

// enqueue makes the calls that were read join the queue when the lane has room for them.
func (l *lane) enqueue() {
	if len(l.read) == 0 {
		return
	}
	l.mu.Lock()
	l.wait(func() bool { return l.underWay+len(l.read) <= laneCalls })
	l.underWay += len(l.read)
	l.queue = append(l.queue, l.read...)
	l.rouse()
	l.mu.Unlock()
	clear(l.read)
	l.read = l.read[:0]
}

// check returns why a call is not handled; nil if it is.
func (l *lane) check(frame *bulk.CallFrame) error {
	if err := bulk.CheckMetadata(frame.Metadata); err != nil {
		return err
	}
	if !bulk.Carries(frame.Metadata) { // a proxy may have set or removed a header of the lane
		return status.Error(codes.InvalidArgument, "a call of a lane carries no metadata but event-id, traceparent, tracestate, baggage and x-request-id: make a single call")
	}
	if err := eventid.Check(frame.ID); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if l.size+len(eventid.Key)+len(frame.ID)+32+metadataSize(frame.Metadata) > l.limits.config.MaxMetadataBytes {
		l.limits.notices.unhandled(HeadersTooLarge, l.unary.gate.call.Method, l.stream.call.of.from)
		return status.Errorf(codes.ResourceExhausted, "the metadata of the call is larger than %d bytes (--max-metadata-bytes)", l.limits.config.MaxMetadataBytes)
	}
	return nil
}

// count counts a call as one under way, or returns why it can't be. It waits while others
// of the lane may make room by ending. It comes before all checks: also a call that is
// refused takes memory until its answer is sent.
func (l *lane) count(call *laneCall) error {
	c := l.stream.call.of
	for most := int64(l.limits.config.MaxCalls); ; {
		has := c.address.calls.Add(1) - 1
		if share(has, most-l.limits.calls.Add(1)+1, most) {
			call.counted = true
			return nil
		}
		l.limits.leave(c, kind{})
		l.enqueue()
		l.mu.Lock()
		others := l.underWay
		if others > 0 {
			l.wait(func() bool { return l.underWay < others })
		}
		l.mu.Unlock()
		if others == 0 {
			err := l.limits.enter(c, kind{})
			call.counted = err == nil
			return err
		}
	}
}

// metadataSize returns how much metadata counts for.
func metadataSize(md metadata.MD) (n int) {
	for key, values := range md {
		for _, value := range values {
			n += len(key) + len(value) + 32
		}
	}
	return n
}

// rouse makes a worker look at the queue, if it has calls. The lock is held.
func (l *lane) rouse() {
	if l.roused || len(l.queue) == 0 {
		return
	}
	l.roused = true
	if n := len(l.idle); n > 0 {
		w := l.idle[n-1]
		l.idle = l.idle[:n-1]
		l.least = min(l.least, n-1)
		l.limits.idleWorkers.Add(-1)
		w.wake <- true
		return
	}
	go l.work(&laneWorker{wake: make(chan bool, 1)})
}

// close ends the workers. The lock is held.
func (l *lane) close() {
	l.closed = true
	l.dismiss(len(l.idle))
}

// rest makes a worker idle, and reports whether there is room for it. The lock is held.
func (l *lane) rest(w *laneWorker) bool {
	if l.limits.idleWorkers.Add(1) > mostIdle {
		l.limits.idleWorkers.Add(-1)
		return false
	}
	if cap(w.encoded) > idleBytes {
		w.encoded = nil
	}
	l.idle = append(l.idle, w)
	if !l.looks {
		l.looks, l.least = true, 0
		time.AfterFunc(l.limits.slowAfter/2, l.look)
	}
	return true
}

// look ends the workers that have been idle since the last look.
func (l *lane) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dismiss(min(l.least, len(l.idle)))
	l.least = len(l.idle)
	if l.looks = l.least > 0; l.looks {
		time.AfterFunc(l.limits.slowAfter/2, l.look)
	}
}

// dismiss ends the n workers that have been idle for longest. The lock is held.
func (l *lane) dismiss(n int) {
	for _, w := range l.idle[:n] {
		w.wake <- false
	}
	l.idle = slices.Delete(l.idle, 0, n)
	l.limits.idleWorkers.Add(-int64(n))
}

// work handles calls until there is none.
func (l *lane) work(w *laneWorker) {
	// The garbage collector halves a stack of which less than a quarter is used, and to decode
	// the next request it would grow again. With this it stays as large as calls need it.
	var ballast [4 << 10]byte
	l.mu.Lock()
	l.roused = false
	c := l.next(w)
	l.mu.Unlock()
	for c != nil {
		c.handle(w)
		c = l.answer(w, c, true)
	}
	runtime.KeepAlive(&ballast)
}

// next waits for the next call; nil if there is none. The lock is held.
func (l *lane) next(w *laneWorker) *laneCall {
	for len(l.queue) == 0 {
		if l.closed || !l.rest(w) {
			return nil
		}
		l.mu.Unlock()
		works := <-w.wake
		l.mu.Lock()
		if !works {
			return nil
		}
		l.roused = false
	}
	c := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	l.note()
	l.rouse()
	return c
}

// answer answers a call, which then has ended, and waits for the next if more is true.
func (l *lane) answer(w *laneWorker, c *laneCall, more bool) (next *laneCall) {
	held := int64(0)
	answer := bulk.AnswerFrame{Number: c.frame.Number, Header: c.header, Trailer: c.trailer}
	if c.err == nil {
		answer.Reply, held, c.err = l.encode(w, c.reply)
	}
	if c.err != nil {
		answer.Reply = nil
		answer.Status = encodedStatus(c.err)
	}
	c.batch.leave()
	size := len(answer.Reply) + len(answer.Status)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waitToSend(size)
	if l.broken {
		l.limits.tailMemory.give(l.stream.call.of, held)
	} else {
		l.add(&answer, size, held)
	}
	if c.counted {
		l.limits.leave(l.stream.call.of, kind{})
	}
	l.underWay--
	l.note()
	if l.waits {
		l.ended.Signal()
	}
	if !more {
		return nil
	}
	return l.next(w)
}

// encodedStatus returns an error as it is sent. Its text may be any bytes, as that of a single
// call.
func encodedStatus(err error) []byte {
	p := status.Convert(err).Proto()
	p.Message = strings.ToValidUTF8(p.Message, "\uFFFD")
	if encoded, err := proto.Marshal(p); err == nil && len(encoded) > 0 {
		return encoded
	}
	return encodedInternal
}

var encodedInternal, _ = proto.Marshal(status.Convert(errInternal).Proto())

// waitToSend waits until there is room for an answer. Meanwhile the lane counts as one whose
// client does not read, and can be closed for others. The lock is held.
func (l *lane) waitToSend(size int) {
	full := func() bool { return l.bytes > 0 && l.bytes+size > mostAnswers && !l.broken }
	if !full() {
		return
	}
	l.unread++
	l.note()
	for full() {
		l.sent.Wait()
	}
	l.unread--
	l.note()
}

// note notes whether the client does not read: whether all calls that have begun wait for
// that. The lock is held.
func (l *lane) note() {
	if is := l.unread > 0 && l.unread == l.underWay-len(l.queue); is != l.noted {
		l.noted = is
		l.stream.call.reads(!is)
	}
}

// reads notes whether the client reads what a call sends that goes on.
func (c *call) reads(is bool) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if _, ok := c.of.calls[c.stream]; !ok || c.unread != is {
		return
	}
	if !is {
		c.becomeUnread()
		return
	}
	c.unread = false
	c.of.unread--
}

// leave adds a notice that the lane takes no further calls, and how many it took. The lock
// is held.
func (l *lane) leave() {
	l.room(0)
	before := len(*l.current.bytes)
	*l.current.bytes = bulk.AppendTaken(*l.current.bytes, l.taken)
	l.added(before)
}

// add adds an answer to those that wait to be sent. The lock is held.
func (l *lane) add(answer *bulk.AnswerFrame, size int, held int64) {
	l.room(size)
	before := len(*l.current.bytes)
	*l.current.bytes = bulk.AppendAnswer(*l.current.bytes, answer)
	l.current.held += held
	l.added(before)
}

// room makes sure that the last message has room for size bytes. The lock is held.
func (l *lane) room(size int) {
	if l.current.bytes != nil && len(*l.current.bytes)+size > chunkBytes {
		l.full = append(l.full, l.current)
		l.current = chunk{}
	}
	if l.current.bytes == nil {
		l.current.bytes = pool.Get(chunkBytes)
		*l.current.bytes = (*l.current.bytes)[:0]
	}
}

// added takes note of what was added to the last message. The lock is held.
func (l *lane) added(before int) {
	l.bytes += len(*l.current.bytes) - before
	if l.asleep {
		l.asleep = false
		l.ready.Signal()
	}
}

// encode encodes a reply. One that is not small holds memory until it is sent.
func (l *lane) encode(w *laneWorker, reply any) (encoded []byte, held int64, err error) {
	message, ok := reply.(proto.Message)
	if !ok {
		data, err := codec.Marshal(reply)
		if err != nil {
			return nil, 0, errUnencodable(err)
		}
		defer data.Free()
		return data.Materialize(), 0, nil
	}
	if size := int64(proto.Size(message)); size > smallMessage {
		held, err = l.limits.takeForAnswer(l.stream.call, messageForms*size)
		if err == errNoMemory {
			err = errUnanswered
		}
		if err != nil {
			return nil, 0, err
		}
	}
	if encoded, err = (proto.MarshalOptions{}).MarshalAppend(w.encoded[:0], message); err != nil {
		return nil, held, errUnencodable(err)
	}
	if cap(encoded) <= smallMessage {
		w.encoded = encoded
	}
	return encoded, held, nil
}

// errUnanswered is the error of a reply for which there is no memory. The handler has stored
// what it had to: so it is not ResourceExhausted, as of a call that was refused.
var errUnanswered = status.Error(codes.Unavailable, "the call was handled, but there is no memory for its reply, because other clients don't read what the server sends (--max-memory-bytes): try again later")

// errUnencodable is the error of a reply that is not valid, worded as gRPC words it.
func errUnencodable(err error) error {
	return status.Errorf(codes.Internal, "grpc: error while marshaling: %v", err)
}

// send sends answers until the last one.
func (l *lane) send() {
	for {
		next, ok := l.nextChunk()
		if !ok {
			return
		}
		n := len(*next.bytes)
		err := l.stream.SendMsg(mem.BufferSlice{mem.NewBuffer(next.bytes, pool)})
		l.limits.tailMemory.give(l.stream.call.of, next.held)
		l.mu.Lock()
		l.bytes -= n
		l.broken = l.broken || err != nil
		l.sent.Broadcast()
		l.mu.Unlock()
		if err != nil {
			l.cut(status.FromContextError(context.Canceled).Err())
		}
	}
}

// nextChunk waits for answers, and takes those for one message.
func (l *lane) nextChunk() (next chunk, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.current.bytes == nil && !l.last {
		l.asleep = true
		l.ready.Wait()
	}
	if len(l.full) > 0 {
		next = l.full[0]
		l.full = l.full[1:]
		return next, true
	}
	next, l.current = l.current, chunk{}
	return next, next.bytes != nil
}

// laneBatch is what the calls of one message share.
type laneBatch struct {
	ctx    context.Context // ends with their deadline
	cancel context.CancelFunc
	begun  bool
	left   atomic.Int64 // calls, and 1 while there may be more
}

func (b *laneBatch) begin(timeout time.Duration) {
	b.begun = true
	if timeout > 0 {
		b.ctx, b.cancel = context.WithTimeout(b.ctx, timeout)
	}
}

func (b *laneBatch) leave() {
	if b.left.Add(-1) == 0 {
		b.cancel()
	}
}

// laneCall is a call of a lane.
type laneCall struct {
	lane    *lane
	batch   *laneBatch
	frame   bulk.CallFrame
	id      [1]string // as metadata has it
	counted bool      // as a call under way
	refused error     // why it is not handled
	had     bool      // the handler has the request
	of      call      // as limits know it
	reply   any
	err     error

	mu              sync.Mutex
	over            bool // the answer is made
	headed          bool // the header is
	header, trailer metadata.MD
}

// begin makes the context of a call.
func (c *laneCall) begin() (end context.CancelFunc) {
	l := c.lane
	ctx, cancel := context.WithCancel(c.batch.ctx)
	if c.frame.ID != "" || len(c.frame.Metadata) > 0 {
		md := maps.Clone(l.metadata)
		maps.Copy(md, c.frame.Metadata)
		if c.frame.ID != "" {
			c.id[0] = c.frame.ID
			md[eventid.Key] = c.id[:1:1]
		}
		ctx = metadata.NewIncomingContext(ctx, md)
	}
	c.of.Context, c.of.kind, c.of.of, c.of.limits = newTransportContext(ctx, c), kind{method: l.unary.gate.call.Method}, l.stream.call.of, l.limits
	c.of.interrupt = func() {}
	c.of.bounded = boundedStream{ServerStream: (*laneStream)(c), call: &c.of}
	return cancel
}

// handle handles a call as a single call is handled.
func (c *laneCall) handle(w *laneWorker) {
	if c.err = c.refused; c.err != nil {
		pushBack(newTransportContext(c.batch.ctx, c), c.err)
		return
	}
	returned, cancel := false, c.begin()
	defer func() {
		cancel()
		c.of.over.Store(true)
		c.of.release()
		c.mu.Lock()
		c.over = true
		c.mu.Unlock()
		if !returned { // the handler has ended its goroutine
			c.err = errInternal
			c.lane.answer(w, c, false)
		}
	}()
	c.reply, c.err = c.lane.unary.handle(c.lane.impl, &c.of.bounded)
	returned = true
}
