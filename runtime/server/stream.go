package server

import (
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// boundedStream is a stream that keeps to the limits.
type boundedStream struct {
	grpc.ServerStream
	call *call // nil if the call came by another way than the server's listener

	// Only tails use these.
	start *time.Timer
	mu    sync.Mutex
	begun bool  // to send
	held  int64 // of the memory
}

// begin begins to handle a call.
func (l *limits) begin(s grpc.ServerStream) *boundedStream {
	call, _ := s.Context().Value(callKey{}).(*call)
	if call != nil {
		call.of.mu.Lock()
		call.started = true
		call.of.mu.Unlock()
	}
	return &boundedStream{ServerStream: s, call: call}
}

func (s *boundedStream) finish() {
	if s.call == nil {
		return
	}
	s.call.release()
	if s.start != nil {
		s.start.Stop()
		s.mu.Lock()
		s.begun = true
		s.give(s.held)
		s.mu.Unlock()
	}
	s.call.of.mu.Lock()
	s.call.of.remove(s.call.stream)
	s.call.of.mu.Unlock()
}

// wasCut reports whether the limits or a drain ended the call.
func (s *boundedStream) wasCut() bool {
	if s.call == nil {
		return false
	}
	s.call.of.mu.Lock()
	defer s.call.of.mu.Unlock()
	return s.call.cut != nil
}

func (s *boundedStream) RecvMsg(into any) error {
	if s.call == nil {
		return s.ServerStream.RecvMsg(into)
	}
	return s.call.receive(s.ServerStream, into)
}

// tailStart is how long a tail may take to find the first event to send.
const tailStart = time.Second

// beginTail waits until there is memory for the largest event that a tail may
// begin with, since it is read before its size is known. So however many tails
// begin at the same time, those whose clients don't read what is sent keep the
// others from reading more. A tail that finds nothing to send gives it back.
func (s *boundedStream) beginTail() error {
	if s.call == nil || !s.call.tail {
		return nil
	}
	largest := s.call.limits.largest.Load()
	if largest == 0 {
		largest = int64(s.call.limits.config.MaxMessageBytes)
	}
	if err := s.holdTail(messageForms * largest); err != nil {
		return err
	}
	s.start = time.AfterFunc(tailStart, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.begun {
			s.give(s.held)
		}
	})
	return nil
}

// holdTail makes a tail hold some memory for what it sends, and waits for it. It
// holds it until it sends the next message, which gRPC takes once the client has
// room for it.
func (s *boundedStream) holdTail(bytes int64) error {
	if bytes <= messageFree {
		bytes = 0
	}
	l := s.call.limits
	s.mu.Lock()
	defer s.mu.Unlock()
	missing := min(bytes, l.tailMemory.size) - s.held
	if missing <= 0 {
		s.give(-missing)
		return nil
	}
	got, err := l.take(s.call, l.tailMemory, s.call.of, missing, l.config.ReceiveTimeout)
	switch {
	case err == errNoMemory:
		return status.Error(codes.ResourceExhausted, "other clients don't read what the server sends, which takes all the memory for that (--max-memory-bytes): try again later")
	case err != nil:
		return err
	}
	s.held += got
	return nil
}

// give gives back some of the memory. The lock is held.
func (s *boundedStream) give(bytes int64) {
	s.call.limits.tailMemory.give(s.call.of, bytes)
	s.held -= bytes
}

func (s *boundedStream) SendMsg(message any) error {
	if s.call == nil {
		return s.ServerStream.SendMsg(message)
	}
	if message, ok := message.(proto.Message); ok && s.call.tail {
		length := int64(proto.Size(message))
		s.call.limits.sawMessage(length)
		s.mu.Lock()
		s.begun = true
		s.mu.Unlock()
		if err := s.holdTail(messageForms * length); err != nil {
			return err
		}
	}
	s.call.sends.Add(1)
	defer s.call.sends.Add(1)
	return s.ServerStream.SendMsg(message)
}
