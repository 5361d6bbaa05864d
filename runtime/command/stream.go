package command

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

// ClientStream is a call of an RPC that takes any number of requests and gives
// one reply. Stream is the client's end of it as protoc-gen-go-grpc makes it;
// open must open it with the context that it is given. As with [Unary], the
// connection serves this call only.
func ClientStream[
	Client io.Closer,
	Stream interface {
		Send(Request) error
		CloseAndRecv() (Reply, error)
		CloseSend() error
		RecvMsg(any) error
	},
	Request, Reply proto.Message,
](
	dial func(ctx context.Context, target string, options ...client.Option) (Client, error),
	open func(context.Context, Client) (Stream, error),
) Call {
	return Call{
		request:      empty[Request],
		manyRequests: true,
		do: through(dial, func(ctx context.Context, c Client, _ exchange) (stream, error) {
			s, err := open(ctx, c)
			if err != nil {
				return stream{}, err
			}
			return stream{
				send:      func(request proto.Message) error { return s.Send(request.(Request)) },
				closeSend: s.CloseSend,
				// CloseAndRecv would hear of a server that ends the stream early
				// only after the last request.
				receive: func() (proto.Message, error) {
					reply := empty[Reply]()
					return reply, s.RecvMsg(reply)
				},
				oneReply: true,
			}, nil
		}),
	}
}

// ServerStream is a call of an RPC that takes one request and gives any number
// of replies. Stream, open and the connection are as with [ClientStream].
func ServerStream[
	Client io.Closer,
	Stream interface{ Recv() (Reply, error) },
	Request, Reply proto.Message,
](
	dial func(ctx context.Context, target string, options ...client.Option) (Client, error),
	open func(context.Context, Client, Request) (Stream, error),
) Call {
	return Call{
		request:     empty[Request],
		manyReplies: true,
		do: through(dial, func(ctx context.Context, c Client, x exchange) (stream, error) {
			request, err := x.requests()
			if err != nil {
				return stream{}, err
			}
			s, err := open(ctx, c, request.(Request))
			if err != nil {
				return stream{}, err
			}
			return stream{receive: func() (proto.Message, error) { return s.Recv() }}, nil
		}),
	}
}

// Bidi is a call of an RPC that takes and gives any number of messages, both
// at the same time. Stream, open and the connection are as with
// [ClientStream].
func Bidi[
	Client io.Closer,
	Stream interface {
		Send(Request) error
		Recv() (Reply, error)
		CloseSend() error
	},
	Request, Reply proto.Message,
](
	dial func(ctx context.Context, target string, options ...client.Option) (Client, error),
	open func(context.Context, Client) (Stream, error),
) Call {
	return Call{
		request:      empty[Request],
		manyRequests: true,
		manyReplies:  true,
		do: through(dial, func(ctx context.Context, c Client, _ exchange) (stream, error) {
			s, err := open(ctx, c)
			if err != nil {
				return stream{}, err
			}
			return stream{
				send:      func(request proto.Message) error { return s.Send(request.(Request)) },
				closeSend: s.CloseSend,
				receive:   func() (proto.Message, error) { return s.Recv() },
			}, nil
		}),
	}
}

// stream is the client's end of a stream.
type stream struct {
	send      func(proto.Message) error // nil if the request has been sent; its io.EOF refers to what receive says
	closeSend func() error
	receive   func() (proto.Message, error) // io.EOF once the server has ended the stream well
	oneReply  bool
}

// through does what goes through a stream, on a connection of its own.
func through[Client io.Closer](
	dial func(ctx context.Context, target string, options ...client.Option) (Client, error),
	open func(context.Context, Client, exchange) (stream, error),
) func(context.Context, exchange) iter.Seq2[proto.Message, error] {
	return func(ctx context.Context, x exchange) iter.Seq2[proto.Message, error] {
		return func(yield func(proto.Message, error) bool) {
			c, err := dial(ctx, x.addr, x.options...)
			if err != nil {
				yield(nil, err)
				return
			}
			defer c.Close()
			s, err := open(ctx, c, x)
			if err != nil {
				yield(nil, err)
				return
			}
			x.opened()
			s.converse(ctx, x, yield)
		}
	}
}

// converse sends the requests while it gives the replies. It ends when the
// server ends the stream, whether or not all requests have been sent.
func (s stream) converse(ctx context.Context, x exchange, yield func(proto.Message, error) bool) {
	var sending sync.Mutex
	if s.send != nil {
		go s.transmit(ctx, x, &sending)
	}
	for {
		reply, err := s.receive()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			// Where it is a request that could not be sent, the call has been
			// aborted with the reason once this is unlocked.
			sending.Lock()
			defer sending.Unlock()
			yield(nil, err)
			return
		}
		if !yield(reply, nil) || s.oneReply {
			return
		}
	}
}

// transmit sends the requests, one at a time as the server takes them. It
// ends with the last one, with an error, which aborts the call, or with the
// call; a request that is awaited then is given up as soon as it comes.
func (s stream) transmit(ctx context.Context, x exchange, sending *sync.Mutex) {
	for {
		request, err := x.requests()
		if ctx.Err() != nil {
			return
		}
		sending.Lock()
		err = s.pass(request, err)
		if err != nil && !errors.Is(err, io.EOF) {
			x.abort(err)
		}
		sending.Unlock()
		if err != nil {
			return
		}
	}
}

// pass sends a request, or says with io.EOF that there are no more.
func (s stream) pass(request proto.Message, err error) error {
	switch {
	case err == nil:
		return s.send(request)
	case errors.Is(err, io.EOF):
		return errors.Join(s.closeSend(), io.EOF)
	}
	return err
}
