//runtime:with server.Bulk

package server

import (
	"context"
	"errors"
	"io"
	"maps"
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
	work     chan *laneCall // to workers that have none; closed once there is no more
	stopping atomic.Bool    // no further calls begin

	mu       sync.Mutex
	ended    sync.Cond // of mu: a call has, and room says that the reader waits for it
	room     bool
	underWay int // calls
	answers
}

// answers are those of a lane that wait to be sent. The lock of the lane guards them.
type answers struct {
	ready   sync.Cond // there is something to send, or nothing will be any longer
	sent    sync.Cond // there is room for more
	waits   bool      // whether the sender waits
	full    []chunk   // messages, the first is next
	current chunk     // the last one, which may get more
	bytes   int       // of all
	last    bool      // no further ones come
	broken  bool      // the client gets no more
}

// chunk is a message of answers.
type chunk struct {
	bytes *[]byte // nil for none
	held  int64   // of the memory
}

const (
	// A message of answers that has so much gets no more.
	chunkBytes = smallMessage - 1<<10
	// Answers wait with their replies while so much is not sent.
	mostAnswers = 256 << 10
)

var pool = mem.DefaultBufferPool()

func newLane(l *limits, u *unary, impl any, stream *boundedStream) *lane {
	lane := &lane{limits: l, unary: u, impl: impl, stream: stream, work: make(chan *laneCall)}
	lane.ended.L, lane.ready.L, lane.sent.L = &lane.mu, &lane.mu, &lane.mu
	lane.metadata, _ = metadata.FromIncomingContext(stream.Context()) // a copy
	delete(lane.metadata, eventid.Key)
	lane.size = metadataSize(lane.metadata)
	lane.ctx = metadata.NewIncomingContext(stream.Context(), lane.metadata)
	return lane
}

// run handles calls until the client sends no more, or the lane is cut: when the server
// drains, or a guard ends within. Calls under way then end, and are answered.
func (l *lane) run(within context.Context) error {
	if err := l.stream.SendHeader(nil); err != nil { // by which the client knows that there is a lane
		return err
	}
	until, stop := UntilDrain(within)
	defer stop()
	defer context.AfterFunc(until, func() {
		l.stopping.Store(context.Cause(until) == errStopping)
		l.cut(context.Cause(until))
	})()
	var sender sync.WaitGroup
	sender.Go(l.send)
	err := l.read()
	l.mu.Lock()
	l.wait(func() bool { return l.underWay == 0 })
	l.last = true
	l.ready.Signal()
	l.mu.Unlock()
	close(l.work)
	sender.Wait()
	return err
}

// cut makes the lane receive nothing more.
func (l *lane) cut(why error) {
	c := l.stream.call
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.cut == nil {
		c.end(why)
	}
}

// wait waits until something is so that calls which end can make so. The lock is held.
func (l *lane) wait(until func() bool) {
	for !until() {
		l.room = true
		l.ended.Wait()
	}
	l.room = false
}

// read begins the calls that the client sends.
func (l *lane) read() error {
	for {
		var message received
		if err := l.stream.RecvMsg(&message); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		bytes := message.data.Materialize() // requests are parts of it
		message.data.Free()
		if err := l.begin(bytes); err != nil {
			return err
		}
	}
}

// begin begins the calls of a message.
func (l *lane) begin(message []byte) error {
	batch := &laneBatch{ctx: l.ctx, cancel: func() {}}
	batch.left.Store(1)
	defer batch.leave()
	err := bulk.ReadCalls(message, func(frame bulk.CallFrame, timeout time.Duration) error {
		if !batch.begun {
			batch.begin(timeout)
		}
		return l.call(batch, frame)
	})
	if errors.Is(err, bulk.ErrFrame) {
		l.limits.notices.unhandled(Undecodable, l.stream.call.method, l.stream.call.of.from)
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return err
}

// call begins a call, once there may be one more.
func (l *lane) call(batch *laneBatch, frame bulk.CallFrame) error {
	l.mu.Lock()
	l.wait(func() bool { return l.underWay < laneCalls })
	broken := l.broken
	l.underWay++
	l.mu.Unlock()
	if broken {
		l.end()
		return l.stream.Context().Err()
	}
	c := &laneCall{lane: l, batch: batch, number: frame.Number, request: frame.Request}
	batch.left.Add(1)
	if err := l.admit(&frame); err != nil {
		l.answer(c, nil, err)
		return nil
	}
	c.begin(&frame)
	select {
	case l.work <- c:
	default:
		go l.worker(c)
	}
	return nil
}

// admit counts a call as one under way, or returns why it can't be. It waits while others
// of the lane may make room by ending.
func (l *lane) admit(frame *bulk.CallFrame) error {
	c := l.stream.call.of
	if l.stopping.Load() {
		return errStopping
	}
	if len(frame.Metadata) > 0 {
		if err := bulk.CheckMetadata(frame.Metadata); err != nil {
			return err
		}
		if l.size+metadataSize(frame.Metadata) > l.limits.config.MaxMetadataBytes {
			l.limits.notices.unhandled(HeadersTooLarge, l.unary.gate.call.Method, c.from)
			return status.Errorf(codes.ResourceExhausted, "the metadata of the call is larger than %d bytes (--max-metadata-bytes)", l.limits.config.MaxMetadataBytes)
		}
	}
	for most := int64(l.limits.config.MaxCalls); ; {
		has := c.address.calls.Add(1) - 1
		if share(has, most-l.limits.calls.Add(1)+1, most) {
			return nil
		}
		l.limits.leave(c, kind{})
		l.mu.Lock()
		others := l.underWay - 1
		if others > 0 {
			l.wait(func() bool { return l.underWay <= others })
		}
		l.mu.Unlock()
		if others == 0 {
			return l.limits.enter(c, kind{})
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

// worker handles calls, one after the other.
func (l *lane) worker(c *laneCall) {
	for more := true; more; c, more = <-l.work {
		c.handle()
	}
}

// end no longer counts a call.
func (l *lane) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave()
}

// leave is end while the lock is held.
func (l *lane) leave() {
	l.underWay--
	if l.room {
		l.ended.Signal()
	}
}

// answer answers a call, which then has ended.
func (l *lane) answer(c *laneCall, reply any, err error) {
	held := int64(0)
	answer := bulk.AnswerFrame{Number: c.number, Header: c.header, Trailer: c.trailer}
	if err == nil {
		answer.Reply, held, err = l.encode(reply)
	}
	if err != nil {
		answer.Status, _ = proto.Marshal(status.Convert(err).Proto())
	}
	c.batch.leave()
	size := len(answer.Reply) + len(answer.Status)
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.bytes > 0 && l.bytes+size > mostAnswers && !l.broken {
		l.sent.Wait()
	}
	defer l.leave()
	if l.broken {
		l.limits.tailMemory.give(l.stream.call.of, held)
		return
	}
	l.add(&answer, size, held)
}

// add adds an answer to those that wait to be sent. The lock is held.
func (l *lane) add(answer *bulk.AnswerFrame, size int, held int64) {
	if l.current.bytes != nil && len(*l.current.bytes)+size > chunkBytes {
		l.full = append(l.full, l.current)
		l.current = chunk{}
	}
	if l.current.bytes == nil {
		l.current.bytes = pool.Get(chunkBytes)
		*l.current.bytes = (*l.current.bytes)[:0]
	}
	before := len(*l.current.bytes)
	*l.current.bytes = bulk.AppendAnswer(*l.current.bytes, answer)
	l.bytes += len(*l.current.bytes) - before
	l.current.held += held
	if l.waits {
		l.waits = false
		l.ready.Signal()
	}
}

// encode encodes a reply. One that is not small holds memory until it is sent.
func (l *lane) encode(reply any) (encoded []byte, held int64, err error) {
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
		held, err = l.limits.take(l.stream.call, l.limits.tailMemory, l.stream.call.of, messageForms*size, l.limits.config.ReceiveTimeout)
		if err == errNoMemory {
			err = errUnread
		}
		if err != nil {
			return nil, 0, err
		}
	}
	if encoded, err = proto.Marshal(message); err != nil {
		return nil, held, errUnencodable(err)
	}
	return encoded, held, nil
}

// errUnencodable is the error of a reply that is not valid, as gRPC has it.
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
		l.waits = true
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
	number  uint64
	request []byte
	had     bool // the handler has the request
	of      call // as limits know it
	cancel  context.CancelFunc

	mu              sync.Mutex
	over            bool // the answer is made
	headed          bool // the header is
	header, trailer metadata.MD
}

// begin makes the context of a call.
func (c *laneCall) begin(frame *bulk.CallFrame) {
	l := c.lane
	ctx, cancel := context.WithCancel(c.batch.ctx)
	if frame.ID != "" || len(frame.Metadata) > 0 {
		md := maps.Clone(l.metadata)
		maps.Copy(md, frame.Metadata)
		if frame.ID != "" {
			md[eventid.Key] = []string{frame.ID}
		}
		ctx = metadata.NewIncomingContext(ctx, md)
	}
	c.cancel = cancel
	c.of.Context, c.of.kind, c.of.of, c.of.limits = newTransportContext(ctx, c), kind{method: l.unary.gate.call.Method}, l.stream.call.of, l.limits
	c.of.interrupt = func() {}
	c.of.bounded = boundedStream{ServerStream: (*laneStream)(c), call: &c.of}
}

// handle handles a call as it would be that came by itself.
func (c *laneCall) handle() {
	var reply any
	err := error(errInternal) // if the handler ends its goroutine
	defer func() {
		c.cancel()
		c.of.over.Store(true)
		c.of.release()
		c.mu.Lock()
		c.over = true
		c.mu.Unlock()
		l := c.lane
		l.limits.leave(l.stream.call.of, kind{})
		l.answer(c, reply, err)
	}()
	reply, err = c.lane.unary.handle(c.lane.impl, &c.of.bounded)
}
