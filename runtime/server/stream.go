package server

import (
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// boundedStream is a stream that keeps to the limits.
type boundedStream struct {
	grpc.ServerStream
	call     *call
	sending  *sender // of a tail, and of one that has sent a large message
	received bool    // the last RecvMsg received a message
}

// sender is what a call knows about what it sends.
type sender struct {
	start *time.Timer
	mu    sync.Mutex
	begun bool  // to send
	held  int64 // of the memory
}

// begin begins to handle a call.
func (l *limits) begin(s grpc.ServerStream) *boundedStream {
	call := s.Context().Value(callKey{}).(*call)
	call.of.mu.Lock()
	call.started = true
	call.of.mu.Unlock()
	call.bounded = boundedStream{ServerStream: s, call: call}
	return &call.bounded
}

func (s *boundedStream) finish() {
	s.call.over.Store(true)
	s.call.release()
	answer := int64(0)
	if s.sending != nil {
		if s.sending.start != nil {
			s.sending.start.Stop()
		}
		s.sending.mu.Lock()
		s.sending.begun = true
		answer, s.sending.held = s.sending.held, 0
		s.sending.mu.Unlock()
	}
	s.call.finish(answer)
}

// wasCut reports whether the limits or a drain ended the call.
func (s *boundedStream) wasCut() bool {
	s.call.of.mu.Lock()
	defer s.call.of.mu.Unlock()
	return s.call.cut != nil
}

func (s *boundedStream) RecvMsg(into any) (err error) {
	if s.call.interrupt != nil {
		err = s.ServerStream.RecvMsg(into) // which is that of a [PortCall]
	} else {
		err = s.call.receive(s.ServerStream, into)
	}
	s.received = err == nil
	return err
}

// tailStart is how long a tail may take to find the first event to send.
const tailStart = time.Second

// beginTail waits until there is memory for the largest event that a tail may
// begin with, since it is read before its size is known. So however many tails
// begin at the same time, those whose clients don't read what is sent keep the
// others from reading more. A tail that finds nothing to send gives it back.
func (s *boundedStream) beginTail() error {
	if !s.call.tail {
		return nil
	}
	largest := s.call.limits.largest.Load()
	if largest == 0 {
		largest = int64(s.call.limits.config.MaxMessageBytes)
	}
	s.sending = &sender{}
	if err := s.holdTail(messageForms * largest); err != nil {
		return err
	}
	s.sending.start = time.AfterFunc(tailStart, func() {
		s.sending.mu.Lock()
		defer s.sending.mu.Unlock()
		if !s.sending.begun {
			s.give(s.sending.held)
		}
	})
	return nil
}

// holdTail makes a call hold some memory for what it sends, and waits for it. It
// holds it until it sends the next message, which gRPC takes once the client has
// room for it, or until the client has the last.
func (s *boundedStream) holdTail(bytes int64) error {
	if bytes <= messageFree {
		bytes = 0
	}
	l := s.call.limits
	s.sending.mu.Lock()
	defer s.sending.mu.Unlock()
	missing := min(bytes, l.tailMemory.size) - s.sending.held
	if missing <= 0 {
		s.give(-missing)
		return nil
	}
	got, err := l.takeForAnswer(s.call, missing)
	switch {
	case err == errNoMemory:
		return errUnread
	case err != nil:
		return err
	}
	s.sending.held += got
	return nil
}

// takeForAnswer takes memory for what a call sends, and makes room for it after a while.
func (l *limits) takeForAnswer(c *call, bytes int64) (int64, error) {
	var relief *time.Timer
	relief = time.AfterFunc(l.slowAfter/2, func() {
		l.makeRoomForAnswer()
		relief.Reset(l.slowAfter / 4)
	})
	defer relief.Stop()
	return l.take(c, l.tailMemory, c.of, bytes, l.config.ReceiveTimeout)
}

// errUnread is the error of an answer for which there is no memory.
var errUnread = overloaded("other clients don't read what the server sends, which takes all the memory for that (--max-memory-bytes): try again later")

// give gives back some of the memory. The lock is held.
func (s *boundedStream) give(bytes int64) {
	s.call.limits.tailMemory.give(s.call.of, bytes)
	s.sending.held -= bytes
}

// holdFor makes a call hold the memory for a message that it sends.
func (s *boundedStream) holdFor(length int64) error {
	switch {
	case s.call.tail:
		s.call.limits.sawMessage(length)
		s.sending.mu.Lock()
		s.sending.begun = true
		s.sending.mu.Unlock()
	case s.sending == nil && length <= smallMessage:
		return nil
	case s.sending == nil:
		s.sending = &sender{}
	}
	return s.holdTail(messageForms * length)
}

func (s *boundedStream) SendMsg(message any) error {
	if message, ok := message.(proto.Message); ok {
		if err := s.holdFor(int64(proto.Size(message))); err != nil {
			return err
		}
	}
	s.call.sends.Add(1)
	defer s.call.sends.Add(1)
	return s.ServerStream.SendMsg(message)
}
