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

// ClientStream returns a call of an RPC with any number of requests and one reply.
// Stream is the client's end of the stream as protoc-gen-go-grpc generates it;
// open must open it with the context that it gets. As with [Unary], the
// connection is used for this call only.
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
		do: streaming(dial, func(ctx context.Context, c Client, _ exchange) (stream, error) {
			s, err := open(ctx, c)
			if err != nil {
				return stream{}, err
			}
			return stream{
				send:      func(request proto.Message) error { return s.Send(request.(Request)) },
				closeSend: s.CloseSend,
				// CloseAndRecv would notice only after the last request that the
				// server has ended the stream early.
				receive: func() (proto.Message, error) {
					reply := empty[Reply]()
					return reply, s.RecvMsg(reply)
				},
				oneReply: true,
			}, nil
		}),
	}
}

// ServerStream returns a call of an RPC with one request and any number of replies.
// Stream, open and the connection are as in [ClientStream].
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
		do: streaming(dial, func(ctx context.Context, c Client, x exchange) (stream, error) {
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

// Bidi returns a call of an RPC with any number of requests and replies, which may
// alternate. Stream, open and the connection are as in [ClientStream].
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
		do: streaming(dial, func(ctx context.Context, c Client, _ exchange) (stream, error) {
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
	send      func(proto.Message) error // nil if the request has been sent; after its io.EOF, receive returns the error
	closeSend func() error
	receive   func() (proto.Message, error) // returns io.EOF once the server has ended the stream without an error
	oneReply  bool
}

// streaming returns the do of a Call through a stream, on its own connection.
func streaming[Client io.Closer](
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
			s.run(ctx, x, yield)
		}
	}
}

// run sends the requests and yields the replies at the same time. It ends
// when the server ends the stream, even if not all requests have been sent.
func (s stream) run(ctx context.Context, x exchange, yield func(proto.Message, error) bool) {
	var sending sync.Mutex
	if s.send != nil {
		go s.sendAll(ctx, x, &sending)
	}
	for {
		reply, err := s.receive()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			// If a request could not be sent, sendAll aborts the call with the
			// reason before it unlocks.
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

// sendAll sends the requests one at a time, as fast as the server takes them. It
// ends after the last one, after an error, which aborts the call, or when the call
// ends. A request that it reads after that is not sent.
func (s stream) sendAll(ctx context.Context, x exchange, sending *sync.Mutex) {
	for {
		request, err := x.requests()
		if ctx.Err() != nil {
			return
		}
		sending.Lock()
		err = s.sendOne(request, err)
		if err == nil {
			x.sent()
		}
		if err != nil && !errors.Is(err, io.EOF) {
			x.abort(err)
		}
		sending.Unlock()
		if err != nil {
			return
		}
	}
}

// sendOne sends a request. If err is io.EOF, it ends the requests and returns
// io.EOF.
func (s stream) sendOne(request proto.Message, err error) error {
	switch {
	case err == nil:
		return s.send(request)
	case errors.Is(err, io.EOF):
		return errors.Join(s.closeSend(), io.EOF)
	}
	return err
}
