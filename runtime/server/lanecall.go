//runtime:with server.Bulk

package server

import (
	"bytes"
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// laneStream presents a call of a lane as a [grpc.ServerStream].
type laneStream laneCall

func (s *laneStream) Context() context.Context { return &s.of }

func (s *laneStream) RecvMsg(into any) error {
	if s.had {
		return io.EOF
	}
	s.had = true
	request := s.frame.Request
	message, ok := into.(proto.Message)
	if !ok {
		return codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(request)}, into)
	}
	if err := s.of.weigh(request, message, (*scale).weigh); err != nil {
		return err
	}
	if s.of.limits.keepsRefused { // not before there is memory for it
		s.of.original = bytes.Clone(request)
	}
	if err := proto.Unmarshal(request, message); err != nil {
		return s.of.undecodable(message, err)
	}
	return nil
}

func (s *laneStream) SendMsg(any) error               { return errors.New("a call of a lane has one reply") }
func (s *laneStream) SetHeader(md metadata.MD) error  { return (*laneTransport)(s).SetHeader(md) }
func (s *laneStream) SendHeader(md metadata.MD) error { return (*laneTransport)(s).SendHeader(md) }
func (s *laneStream) SetTrailer(md metadata.MD)       { _ = (*laneTransport)(s).SetTrailer(md) }

// laneTransport is what [grpc.SetHeader] and the like find in the context of a call.
type laneTransport laneCall

func newTransportContext(ctx context.Context, c *laneCall) context.Context {
	return grpc.NewContextWithServerTransportStream(ctx, (*laneTransport)(c))
}

var (
	errOver   = errors.New("the call has ended")
	errHeaded = errors.New("the header of the call is sent")
)

// Method implements [grpc.ServerTransportStream].
func (t *laneTransport) Method() string { return t.of.method }

// SetHeader implements [grpc.ServerTransportStream].
func (t *laneTransport) SetHeader(md metadata.MD) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.over:
		return errOver
	case t.headed:
		return errHeaded
	}
	t.header = join(t.header, md)
	return nil
}

// SendHeader implements [grpc.ServerTransportStream]. The header goes with the answer.
func (t *laneTransport) SendHeader(md metadata.MD) error {
	err := t.SetHeader(md)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.headed = true
	return err
}

// SetTrailer implements [grpc.ServerTransportStream].
func (t *laneTransport) SetTrailer(md metadata.MD) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return errOver
	}
	t.trailer = join(t.trailer, md)
	return nil
}

// join joins metadata without the names that gRPC does not send either.
func join(to, more metadata.MD) metadata.MD {
	to = metadata.Join(to, more)
	for _, key := range []string{"content-type", "user-agent", "grpc-message-type", "grpc-encoding", "grpc-message", "grpc-status", "grpc-timeout", "te"} {
		delete(to, key)
	}
	return to
}
