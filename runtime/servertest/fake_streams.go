//runtime:with ServerStream ClientStream Bidi

package servertest

import (
	"errors"
	"io"
)

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
