package servertest

import (
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
