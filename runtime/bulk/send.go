package bulk

import (
	"context"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// run sends what is in the queue until the lane is closed and nothing is under way.
func (l *Lane) run() {
	for {
		batch, singly, more := l.nextBatch()
		l.closeRetired(!more)
		if !more {
			return
		}
		switch {
		case len(batch) == 0:
		case singly:
			for _, t := range batch {
				l.singles <- struct{}{}
				go l.single(t)
			}
		default:
			l.send(batch)
		}
	}
}

// nextBatch waits for calls, and takes those for one message from the queue, or one or more
// that are to be made singly. more is false once there will be none.
func (l *Lane) nextBatch() (batch []*taken, singly, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) == 0 || !l.closing && l.paused() {
		switch {
		case l.closing && l.calls == 0:
			return nil, false, false
		case len(l.retired) > 0:
			return nil, false, true
		}
		l.wake.Wait()
	}
	now := time.Now()
	lacks := now.Before(l.lacks)
	n, bytes := 0, 0
	for ; n < len(l.queue) && n < messageCalls; n++ {
		size := frameSize(&l.queue[n].Call)
		if alone := lacks || size > largestCall || !Carries(l.queue[n].Metadata); n == 0 {
			singly = alone
		} else if alone != singly || !singly && bytes+size > messageBytes {
			break
		}
		bytes += size
	}
	batch = append(batch, l.queue[:n]...)
	rest := copy(l.queue, l.queue[n:])
	clear(l.queue[rest:])
	l.queue = l.queue[:rest]
	return batch, singly, true
}

// paused reports whether nothing may be sent yet, and wakes the sender when it may. The
// lock is held.
func (l *Lane) paused() bool {
	wait := time.Until(l.pause)
	if wait <= 0 {
		return false
	}
	if !l.pausing {
		l.pausing = true
		time.AfterFunc(wait, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.pausing = false
			l.wake.Signal()
		})
	}
	return true
}

// closeRetired half-closes the streams that get no further calls; all streams, if end is
// true.
func (l *Lane) closeRetired(end bool) {
	l.mu.Lock()
	retired := l.retired
	l.retired = nil
	if end && l.stream != nil {
		retired, l.stream = append(retired, l.stream), nil
	}
	l.mu.Unlock()
	for _, s := range retired {
		_ = s.grpc.CloseSend()
	}
	if end {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.begun = false
		l.empty.Broadcast()
	}
}

func frameSize(c *Call) int {
	return (&CallFrame{Number: 1 << 40, ID: c.ID, Request: c.Request, Metadata: c.Metadata}).Size() + 8
}

// send sends calls by the stream.
func (l *Lane) send(batch []*taken) {
	batch = l.valid(batch)
	for range mostTries {
		if batch = l.current(batch); len(batch) == 0 {
			return
		}
		s, err := l.open(batch[0].deadline)
		if err != nil {
			l.done(batch, Answer{Err: err})
			return
		}
		if batch = l.current(batch); len(batch) == 0 {
			return
		}
		// Once the stream expects the calls, they may end at any time, with their requests.
		message := l.encode(s, batch)
		if s.expect(batch) {
			_ = s.grpc.SendMsg(raw{message, true}) // the receiver has the error
			return
		}
		pool.Put(message)
		l.mu.Lock()
		if l.stream == s {
			l.retire(s)
		}
		l.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(batch, l.queue...) // to go out after the pause
}

// mostTries is how many streams are tried at once: one may end just then.
const mostTries = 3

// current ends the calls whose time is over, and returns the others.
func (l *Lane) current(batch []*taken) []*taken {
	l.done(l.expire(&batch, time.Now()), Answer{Err: errLate(l.timeout)})
	return batch
}

// encode encodes calls that are about to be sent by a stream.
func (l *Lane) encode(s *stream, batch []*taken) *[]byte {
	s.mu.Lock()
	first := s.number + 1 // only the sender changes it
	s.mu.Unlock()
	message := pool.Get(messageBytes)
	*message = AppendTimeout((*message)[:0], time.Until(batch[0].deadline))
	for i, t := range batch {
		*message = AppendCall(*message, &CallFrame{Number: first + uint64(i), ID: t.ID, Request: t.Request, Metadata: t.Metadata})
	}
	return message
}

// valid ends the calls that can't be made, and returns the others.
func (l *Lane) valid(batch []*taken) []*taken {
	valid := batch[:0:len(batch)]
	for _, t := range batch {
		if err := checkCall(&t.Call); err != nil {
			l.done([]*taken{t}, Answer{Err: err})
			continue
		}
		valid = append(valid, t)
	}
	return valid
}

// open returns the stream for the next calls. It takes no longer than until a deadline.
func (l *Lane) open(deadline time.Time) (*stream, error) {
	l.mu.Lock()
	s := l.stream
	if s != nil && time.Since(s.begun) > streamAge {
		l.retire(s)
		s = nil
	}
	l.mu.Unlock()
	if s != nil {
		return s, nil
	}
	ctx, cancel := context.WithCancel(l.ctx)
	late := time.AfterFunc(time.Until(deadline), cancel)
	opened, err := l.conn.NewStream(ctx, &grpc.StreamDesc{StreamName: "bulk", ClientStreams: true, ServerStreams: true}, l.method+Suffix,
		grpc.ForceCodecV2(codec{}), grpc.MaxCallRecvMsgSize(maxReply))
	inTime := late.Stop()
	if err != nil {
		cancel()
		l.mu.Lock()
		l.backOff()
		l.mu.Unlock()
		if !inTime && l.ctx.Err() == nil {
			return nil, status.Errorf(codes.Unavailable, "no stream could be opened within %s", l.timeout)
		}
		return nil, status.Convert(err).Err()
	}
	s = &stream{lane: l, grpc: opened, cancel: cancel, begun: time.Now(), heard: time.Now(), pending: map[uint64]*taken{}}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stream, l.streams[s] = s, true
	l.receivers.Go(s.receive)
	return s, nil
}

// backOff makes the lane wait before it opens another stream. The lock is held.
func (l *Lane) backOff() {
	l.failed++
	l.pauseFor(min(firstWait<<min(l.failed-1, 8), mostWait))
}

// How long to wait before a stream is opened again that brought nothing: at first, and at
// most.
const (
	firstWait = 50 * time.Millisecond
	mostWait  = 2 * time.Second
)

// mostCut is how many streams in a row may be opened and then be lost without an answer. After
// that the server counts as one without lanes: it answers single calls, or is away.
const mostCut = 3

// pauseFor sends nothing for a while. The lock is held.
func (l *Lane) pauseFor(wait time.Duration) {
	if until := time.Now().Add(wait); until.After(l.pause) {
		l.pause = until
	}
}

// single makes a call by itself.
func (l *Lane) single(t *taken) {
	defer func() { <-l.singles }()
	answer := Answer{Err: checkCall(&t.Call)}
	if answer.Err == nil {
		answer = l.invoke(t)
		l.mu.Lock()
		if l.pushed++; answer.RetryAfter == 0 {
			l.pushed = 0
		} else if l.pushed > 1 { // not just some source that sends too much
			l.pauseFor(min(answer.RetryAfter, mostWait))
		}
		l.mu.Unlock()
	}
	l.done([]*taken{t}, answer)
}

func (l *Lane) invoke(t *taken) (answer Answer) {
	ctx, cancel := context.WithDeadline(l.ctx, t.deadline)
	defer cancel()
	if len(t.Metadata) > 0 {
		ctx = metadata.NewOutgoingContext(ctx, t.Metadata)
	}
	if t.ID != "" {
		ctx = eventid.WithID(ctx, t.ID)
	}
	var reply raw
	answer.Sent = true
	answer.Err = l.conn.Invoke(ctx, l.method, raw{bytes: &t.Request}, &reply, grpc.ForceCodecV2(codec{}), grpc.MaxCallRecvMsgSize(maxReply),
		grpc.Header(&answer.Header), grpc.Trailer(&answer.Trailer))
	if answer.Err == nil && reply.bytes != nil {
		answer.Reply = *reply.bytes
	}
	for _, md := range []metadata.MD{answer.Header, answer.Trailer} { // which is gRPC's own
		delete(md, "content-type")
		delete(md, "grpc-status-details-bin")
	}
	answer.RetryAfter = retryAfter(answer.Trailer)
	return answer
}

// ended takes note of the end of a stream, whose calls without an answer end with it.
func (l *Lane) ended(s *stream, err error) {
	lost, brought, sent := s.end()
	code := status.Code(err)
	answer := Answer{Err: err, Sent: true}
	l.mu.Lock()
	delete(l.streams, s)
	if l.stream == s {
		l.stream = nil
	}
	switch {
	case brought:
		l.cut = 0
	case err == io.EOF && sent: // such as by a server that says OK to any RPC
		l.lacks = time.Now().Add(lookAgain)
	case err == io.EOF:
	case code == codes.Unimplemented, code == codes.PermissionDenied: // so no call was handled: the second may be of a proxy
		l.has, l.lacks = false, time.Now().Add(lookAgain)
		l.queue = append(lost, l.queue...)
		lost = nil
		l.wake.Signal()
	case code == codes.Internal || code == codes.Unknown: // such as of a proxy that does not pass on streams
		l.lacks = time.Now().Add(lookAgain)
	case code == codes.ResourceExhausted || code == codes.Unauthenticated:
		l.backOff()
	default:
		l.backOff()
		if l.cut++; l.cut >= mostCut { // such as by a proxy that waits for the end of a request
			l.lacks = time.Now().Add(lookAgain)
		}
	}
	if err == io.EOF {
		answer.Err = status.Error(codes.Unavailable, "the server ended the lane before it had answered")
	}
	switch code {
	case codes.Unauthenticated, codes.PermissionDenied:
		answer.Sent = brought
	case codes.ResourceExhausted:
		answer.RetryAfter = retryAfter(s.grpc.Trailer())
		l.pauseFor(min(answer.RetryAfter, mostWait))
		if answer.RetryAfter == 0 { // it is the lane that is too many
			l.backOff()
			answer.Err = status.Error(codes.Unavailable, status.Convert(err).Message())
		}
	case codes.Canceled:
		if !l.closing {
			answer.Err = status.Error(codes.Unavailable, status.Convert(err).Message())
		}
	default:
		if err != io.EOF {
			answer.Err = status.Error(codes.Unavailable, "the lane ended: "+status.Convert(err).Message())
		}
	}
	l.mu.Unlock()
	s.cancel()
	l.done(lost, answer)
}
