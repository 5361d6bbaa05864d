package servertest

import (
	"errors"
	"io"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Fake is an RPC of a fake service: it records its requests, and answers with the replies
// that are set. Before any are set, it answers Unimplemented.
type Fake[Request, Reply any] struct {
	mu       sync.Mutex
	isSet    bool
	requests []*Request
	replies  []*Reply
	err      error
}

// Reply sets the replies: each call gets the next one, and the last one stays. A call
// that returns a stream gets all of them, or, if it sends a stream too, one for each
// request. Without replies, calls get an empty one, and a stream ends.
func (f *Fake[Request, Reply]) Reply(replies ...*Reply) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.isSet, f.replies, f.err = true, replies, nil
}

// Fail sets the error that comes after the replies, or at once if there are none.
func (f *Fake[Request, Reply]) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.isSet, f.err = true, err
}

// Requests returns what was sent so far, in the order in which it came.
func (f *Fake[Request, Reply]) Requests() []*Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

// Unary serves a call without streams.
func (f *Fake[Request, Reply]) Unary(request *Request) (*Reply, error) {
	f.record(request)
	return f.next()
}

// ServerStream serves a call that returns a stream.
func (f *Fake[Request, Reply]) ServerStream(request *Request, stream interface{ Send(*Reply) error }) error {
	f.record(request)
	f.mu.Lock()
	replies, err := f.replies, f.err
	f.mu.Unlock()
	for _, reply := range replies {
		if err := stream.Send(reply); err != nil {
			return err
		}
	}
	if len(replies) == 0 && err == nil {
		_, err = f.next()
	}
	return err
}

// ClientStream serves a call that sends a stream.
func (f *Fake[Request, Reply]) ClientStream(stream interface {
	Recv() (*Request, error)
	SendAndClose(*Reply) error
}) error {
	for {
		request, err := stream.Recv()
		if err == nil {
			f.record(request)
			continue
		}
		if !errors.Is(err, io.EOF) {
			return err
		}
		reply, err := f.next()
		if err != nil {
			return err
		}
		return stream.SendAndClose(reply)
	}
}

// Bidi serves a call of which both sides stream.
func (f *Fake[Request, Reply]) Bidi(stream interface {
	Recv() (*Request, error)
	Send(*Reply) error
}) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		f.record(request)
		reply, err := f.next()
		if err != nil {
			return err
		}
		if err := stream.Send(reply); err != nil {
			return err
		}
	}
}

func (f *Fake[Request, Reply]) record(request *Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, request)
}

// next returns the next reply, and takes it off unless it stays.
func (f *Fake[Request, Reply]) next() (*Reply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case !f.isSet:
		return nil, status.Error(codes.Unimplemented, "the fake has no reply: call Reply or Fail")
	case len(f.replies) == 0 && f.err != nil:
		return nil, f.err
	case len(f.replies) == 0:
		return new(Reply), nil
	}
	reply := f.replies[0]
	if len(f.replies) > 1 || f.err != nil {
		f.replies = f.replies[1:]
	}
	return reply, nil
}
