//runtime:with command.ServerStream command.ClientStream command.Bidi

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

// ServerStream returns a call of an RPC with one request and any number of replies.
// Stream is the client's end of the stream as protoc-gen-go-grpc generates it;
// open must open it with the context that it gets. As with [Unary], the
// connection is used for this call only.
func ServerStream[
	Client io.Closer,
	Stream interface{ Recv() (Reply, error) },
	Request, Reply proto.Message,
](
	dial func(ctx context.Context, target string, options ...client.Option) (Client, error),
	open func(context.Context, Client, Request) (Stream, error),
) Call {
	return Call{
		request: empty[Request], reply: empty[Reply],
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

// stream is the client's end of a stream.
type stream struct {
	sendAll  func(context.Context, exchange, *sync.Mutex) // nil if the request has been sent
	receive  func() (proto.Message, error)                // returns io.EOF once the server has ended the stream without an error
	oneReply bool
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
	if s.sendAll != nil {
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
