package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	// A message of up to smallMessage arrives without being asked for, within
	// the window of its stream; a larger one only once there is memory for it.
	smallMessage = 16 << 10
	// What a message takes of the memory: its length, for each of the forms in
	// which it exists until it is stored. Up to messageFree is part of what each
	// call may have, which MaxCalls bounds.
	messageForms = 4
	messageFree  = messageForms * smallMessage
	// What gzip can make of a byte.
	decompressed = 1032
	// An encoded message is weighed from this length on.
	weighFrom = 1 << 10
	// A request may weigh as much as this many of the longest messages.
	mostWeight = 24
	// A message that is still arriving gets the whole timeout again each time
	// that this much more of it has arrived.
	progressBytes = 256 << 10
)

// call is a call under way. It is also the context of its stream, so that its
// handler finds it there.
type call struct {
	context.Context
	kind
	of      *connection
	stream  uint32
	limits  *limits
	request requestID

	// The lock of the connection guards these.
	started   bool  // its handler
	finished  bool  // its handler
	written   bool  // all of its answer
	evicted   bool  // to make room for another call
	unread    bool  // finished, but not written
	answer    int64 // of the memory, for what is unread
	prefix    [messagePrefixLength]byte
	have      int              // bytes of the prefix
	left      int64            // bytes of the message that are yet to arrive
	messages  []messagePrefix  // begun, and not given to the handler yet
	first     [1]messagePrefix // has room for them
	whole     int              // of them, have arrived
	ended     bool             // the client has sent all
	bytes     int64            // of its messages that have arrived
	since     int64            // of them, since progress
	progress  time.Time
	stalled   int64         // bytes, when it was last found that there were more
	stalls    time.Time     // since when there were no more; both only while the server drains
	receiving bool          // memory is set aside for a message that arrives
	waiting   bool          // the handler waits for the client
	waits     time.Time     // since when
	wake      chan struct{} // wakes the handler
	interrupt func()        // wakes one that reads from its client itself; nil for those of gRPC
	gone      bool          // the client reset the call, or closed the connection
	cut       error         // why the call had to end

	held atomic.Int64 // of the memory

	// Only the handler uses these, from one goroutine at a time.
	bounded boundedStream
	raw     received

	sends atomic.Uint64 // begun, plus ended

	original  []byte      // of the last message, if refused ones are kept
	undecoded bool        // whether that could not be decoded; only the handler's goroutine uses both
	over      atomic.Bool // the handler has returned: the call holds nothing from then on
}

type messagePrefix struct {
	length     int64
	compressed bool
}

type callKey struct{}

// Value implements [context.Context].
func (c *call) Value(key any) any {
	switch key {
	case callKey{}:
		return c
	case requestKey{}:
		return &c.request
	}
	return c.Context.Value(key)
}

// arrived takes note of bytes of the call's messages, and of their end.
func (c *call) arrived(bytes []byte, ended bool) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.follow(bytes, ended)
}

// follow is arrived while the lock is held.
func (c *call) follow(bytes []byte, ended bool) {
	begun := c.begun()
	c.since += int64(len(bytes))
	c.bytes += int64(len(bytes))
	for len(bytes) > 0 {
		if c.left == 0 {
			n := copy(c.prefix[c.have:], bytes)
			c.have += n
			bytes = bytes[n:]
			if c.have < messagePrefixLength {
				break
			}
			begun, c.have = false, 0
			c.left = int64(binary.BigEndian.Uint32(c.prefix[1:]))
			c.messages = append(c.messages, messagePrefix{c.left, c.prefix[0] == compressedMessage})
			if c.left == 0 {
				c.whole++
			}
			continue
		}
		n := min(c.left, int64(len(bytes)))
		bytes = bytes[n:]
		if c.left -= n; c.left == 0 {
			c.whole++
		}
	}
	if c.begun() && (!begun || c.since >= progressBytes) {
		c.progress, c.since = time.Now(), 0
	}
	c.ended = c.ended || ended
}

// begun reports whether part of a message has arrived.
func (c *call) begun() bool { return c.have > 0 || c.left > 0 }

// idle reports whether nothing of a message has arrived that the handler has not
// had.
func (c *call) idle() bool { return c.have == 0 && len(c.messages) == 0 }

// endedEarly reports whether a call ended before its handler began, so that the
// handler's end does not remove it: the client left, or gRPC refused the call, such as
// one whose compression it does not know. The lock is held.
func (c *call) endedEarly() bool { return !c.started && c.Err() != nil }

// leave notes that the client no longer waits for the call.
func (c *call) leave() {
	c.of.mu.Lock()
	c.gone = true
	if c.finished {
		c.of.remove(c.stream)
	}
	c.of.mu.Unlock()
}

// finish notes that the handler has returned, with an answer that holds some of the
// memory until it is written.
func (c *call) finish(answer int64) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.finished, c.answer = true, answer
	if c.cut == nil && c.interrupt == nil {
		c.end(errReturned) // a goroutine of the handler may still receive
	}
	if _, ok := c.of.calls[c.stream]; !ok || c.written || c.gone {
		c.limits.tailMemory.give(c.of, c.answer)
		c.answer = 0
		c.of.remove(c.stream)
		return
	}
	c.becomeUnread()
}

// errReturned is the error of a message that is wanted after the handler has returned.
var errReturned = status.Error(codes.Canceled, "the call has ended: its handler has returned")

// becomeUnread notes that only the client is waited for, which has to read the answer.
// The lock is held.
func (c *call) becomeUnread() {
	if !c.unread {
		c.unread = true
		c.of.unread++
		c.of.becomeIdle()
	}
}

// evict ends a call that waits for its client, if it has not done anything since.
func (c *call) evict(waits time.Time, why error) bool {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if !c.waiting || c.cut != nil || c.waits != waits {
		return false
	}
	c.evicted = true
	c.of.address.evicted.Add(1)
	c.end(why)
	return true
}

// stir wakes the handler if it need not wait any longer.
func (c *call) stir() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if _, _, ok := c.ready(); ok && !c.receiving {
		c.wakeUp()
	}
}

// wakeUp wakes the handler if it waits. The lock is held.
func (c *call) wakeUp() {
	if !c.waiting {
		return
	}
	c.waiting = false
	if c.interrupt != nil {
		c.interrupt()
		return
	}
	c.wake <- struct{}{}
}

// wait waits until something wakes the handler, or done is closed, and reports
// which of them. The lock is held, except while it waits.
func (c *call) wait(done <-chan struct{}) (isDone bool) {
	if c.wake == nil {
		c.wake = make(chan struct{}, 1)
	}
	c.waiting = true
	c.of.mu.Unlock()
	if done == nil {
		<-c.wake
		c.of.mu.Lock()
		return false
	}
	select {
	case <-c.wake:
		c.of.mu.Lock()
		return false
	case <-done:
	}
	c.of.mu.Lock()
	if !c.waiting {
		<-c.wake
	}
	c.waiting = false
	return true
}

// end ends a call that waits for its client. The lock is held.
func (c *call) end(why error) {
	c.cut = why
	c.wakeUp()
}

// check ends a call that has waited for its client for too long, which for one on
// which nothing comes depends on whether the server drains, since when. The lock
// is held.
func (c *call) check(now, draining time.Time) {
	if !c.waiting {
		return
	}
	if _, _, ok := c.ready(); ok && !c.receiving && c.interrupt == nil {
		c.wakeUp() // it is about to be woken anyway
		return
	}
	timeout := c.limits.config.ReceiveTimeout
	switch idle := c.idle(); {
	case c.Err() != nil:
		c.wakeUp() // of one that receives
	case idle && !draining.IsZero() && now.Sub(draining) >= drainGrace && now.Sub(c.waits) >= drainGrace:
		c.end(errStopping)
	case idle && c.uploads:
	case !idle && !draining.IsZero() && c.stallsFor(now) >= 2*drainGrace, !idle && c.limits.endUploads.Load():
		c.end(errStopping)
	case now.Sub(c.progress) >= timeout:
		c.limits.notices.reached("--receive-timeout", c.of.from)
		c.end(status.Errorf(codes.DeadlineExceeded, "the request did not arrive within %s (--receive-timeout of the server)", timeout))
	}
}

// stallsFor returns for how long nothing has come, as far as it was asked before. The
// lock is held.
func (c *call) stallsFor(now time.Time) time.Duration {
	if c.stalls.IsZero() || c.bytes != c.stalled {
		c.stalled, c.stalls = c.bytes, now
	}
	return now.Sub(c.stalls)
}

// receive receives the next message into another, and holds memory for it until
// the handler wants the next one or returns.
func (c *call) receive(stream grpc.ServerStream, into any) error {
	c.release()
	next, arrived, err := c.next()
	if err != nil {
		return err
	}
	most := int64(c.limits.config.MaxMessageBytes)
	if next.length <= most {
		length := next.length
		if next.compressed {
			length = min(most, length*decompressed)
		}
		if err := c.hold(length * messageForms); err != nil {
			return err
		}
	}
	raw := &c.raw
	raw.data = nil
	if arrived {
		err = stream.RecvMsg(raw)
	} else {
		raw = new(received) // gRPC may use it after the call
		err = c.receiveSlowly(stream, raw)
	}
	if err != nil {
		c.unreceived(err)
		return err
	}
	c.of.mu.Lock()
	if len(c.messages) > 0 {
		c.messages = c.messages[1:]
		c.whole--
	}
	c.of.mu.Unlock()
	defer raw.data.Free()
	return c.decode(raw.data, into)
}

// unreceived notes why gRPC refused a message, if it did.
func (c *call) unreceived(err error) {
	switch status.Code(err) {
	case codes.ResourceExhausted:
		c.tooLong(err)
	case codes.Internal, codes.Unimplemented: // there is none, or it can't be decompressed, or ends too early
		c.unreadable()
	}
}

// unreadable notes that there is no message to decode.
func (c *call) unreadable() {
	why := Undecodable
	c.of.mu.Lock()
	if c.bytes == 0 {
		why = NoRequest
	}
	c.of.mu.Unlock()
	c.limits.notices.unhandled(why, c.method, c.of.from)
}

// tooLong notes that gRPC refused a message for its length, unless the limits ended the
// call before.
func (c *call) tooLong(err error) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.cut == nil {
		c.cut = err
		c.limits.notices.tooLarge("--max-message-bytes", c.of.from)
	}
}

// decode decodes a message that was received. It weighs the message before, and holds
// the memory that it will take.
func (c *call) decode(data mem.BufferSlice, into any) error {
	message, ok := into.(proto.Message)
	if !ok {
		return codec.Unmarshal(data, into)
	}
	encoded := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer encoded.Free()
	if c.limits.keepsRefused {
		c.original = bytes.Clone(encoded.ReadOnlyData())
	}
	if err := c.weigh(encoded.ReadOnlyData(), message, (*scale).weigh); err != nil {
		return err
	}
	if err := proto.Unmarshal(encoded.ReadOnlyData(), message); err != nil {
		return c.undecodable(message, err)
	}
	return nil
}

// weigh weighs an encoded message, and holds the memory that it will take.
func (c *call) weigh(encoded []byte, message proto.Message, weigh func(*scale, protoreflect.MessageDescriptor, []byte, int) error) error {
	length, weight := int64(len(encoded)), int64(0)
	c.limits.sawMessage(length)
	if length >= weighFrom {
		scale := scale{most: mostWeight * int64(c.limits.config.MaxMessageBytes), batch: c.limits.config.MaxBatch}
		if err := weigh(&scale, message.ProtoReflect().Descriptor(), encoded, 0); err != nil {
			limit := "--max-batch"
			if scale.isTooHeavy() {
				limit = "--max-message-bytes"
			}
			c.limits.notices.tooLarge(limit, c.of.from)
			c.original = nil // sent again, it would pass: limits are for those who call
			return status.Error(codes.InvalidArgument, err.Error())
		}
		weight = scale.weight
	}
	return c.hold(max(messageForms*length, (messageForms-1)*length+weight))
}

// undecodable returns the error for a request that is not what it should be.
func (c *call) undecodable(message proto.Message, why error) error {
	c.undecoded = true
	c.limits.notices.unhandled(Undecodable, c.method, c.of.from)
	return status.Errorf(codes.InvalidArgument, "the request is not a valid %s: %v", message.ProtoReflect().Descriptor().FullName(), why)
}

// next waits for the next message, and returns its prefix and whether gRPC can
// receive it without waiting. That is so, too, if there is none, or one that gRPC
// refuses.
func (c *call) next() (next messagePrefix, arrived bool, err error) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	for {
		if c.cut == nil && c.uploads && c.limits.endUploads.Load() {
			c.cut = errStopping
		}
		if c.cut != nil {
			return next, false, c.cut
		}
		if next, arrived, ok := c.ready(); ok {
			return next, arrived, nil
		}
		c.waits = time.Now()
		if !c.uploads && c.progress.IsZero() {
			c.progress = c.waits
		}
		c.wait(nil)
	}
}

// ready returns what next does, or false if it has to wait. The lock is held.
func (c *call) ready() (next messagePrefix, arrived, ok bool) {
	if len(c.messages) > 0 {
		next = c.messages[0]
		switch {
		case next.length > int64(c.limits.config.MaxMessageBytes), c.whole > 0 && (c.uploads || c.ended || c.whole > 1):
			return next, true, true
		case next.length > smallMessage:
			return next, false, true
		}
	}
	ended := c.ended || c.gone || c.Err() != nil // gRPC says why
	return messagePrefix{}, ended, ended
}

// receiveSlowly receives a message that has not arrived yet.
func (c *call) receiveSlowly(stream grpc.ServerStream, into any) error {
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = stream.RecvMsg(into)
	}()
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.waits, c.since = time.Now(), 0
	c.receiving, c.progress = true, c.waits
	defer func() { c.receiving = false }()
	for c.cut == nil {
		if c.wait(done) {
			return err
		}
	}
	return c.cut
}

// hold makes the call hold as much of the memory as its message takes. It waits
// for what it doesn't hold yet.
func (c *call) hold(bytes int64) error {
	if bytes <= messageFree {
		bytes = 0
	}
	held := c.held.Load()
	missing := bytes - held
	if missing <= 0 {
		c.limits.memory.give(c.of, -missing)
		c.holds(missing)
		return nil
	}
	if got, ok := c.limits.memory.takeNow(c.of, missing); ok {
		c.holds(got)
		return nil
	}
	// One that holds memory already keeps others waiting, which may hold what it
	// waits for: so it waits for a moment only.
	timeout := c.limits.config.ReceiveTimeout
	if held > 0 {
		timeout = min(timeout, time.Second)
	}
	var relief *time.Timer
	relief = time.AfterFunc(c.limits.slowAfter/2, func() {
		c.limits.makeRoomForMessage()
		relief.Reset(c.limits.slowAfter / 20)
	})
	defer relief.Stop()
	got, err := c.limits.take(c, c.limits.memory, c.of, missing, timeout)
	if err == errNoMemory {
		err = overloaded("the server has no memory left for requests of this size (--max-memory-bytes): try again later")
	}
	if err != nil {
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		c.cut = err
		return err
	}
	c.holds(got)
	return nil
}

// holds notes that the call holds more memory, or less. What a goroutine takes whose
// handler has returned goes back at once: nothing else would give it back.
func (c *call) holds(more int64) {
	c.held.Add(more)
	if c.over.Load() {
		c.release()
	}
}

// release gives back the memory that the call holds.
func (c *call) release() {
	c.limits.memory.give(c.of, c.held.Swap(0))
}
