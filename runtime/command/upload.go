//runtime:used

package command

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

// ClientStream returns a call of an RPC with any number of requests and one reply.
// Stream, open and the connection are as in [ServerStream].
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
		request: empty[Request], reply: empty[Reply],
		manyRequests: true,
		do: streaming(dial, func(ctx context.Context, c Client, _ exchange) (stream, error) {
			s, err := open(ctx, c)
			if err != nil {
				return stream{}, err
			}
			return stream{
				sendAll: sending[Request](s),
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

// Bidi returns a call of an RPC with any number of requests and replies, which may
// alternate. Stream, open and the connection are as in [ServerStream].
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
		request: empty[Request], reply: empty[Reply],
		manyRequests: true,
		manyReplies:  true,
		do: streaming(dial, func(ctx context.Context, c Client, _ exchange) (stream, error) {
			s, err := open(ctx, c)
			if err != nil {
				return stream{}, err
			}
			return stream{
				sendAll: sending[Request](s),
				receive: func() (proto.Message, error) { return s.Recv() },
			}, nil
		}),
	}
}

// requestStream is the end of a stream that takes requests.
type requestStream struct {
	send      func(proto.Message) error // after its io.EOF, the stream's receive returns the error
	closeSend func() error
}

// sending returns a function that sends all requests of a type to a stream.
func sending[Request proto.Message](to interface {
	Send(Request) error
	CloseSend() error
}) func(context.Context, exchange, *sync.Mutex) {
	return requestStream{
		send:      func(request proto.Message) error { return to.Send(request.(Request)) },
		closeSend: to.CloseSend,
	}.sendAll
}

// sendAll sends the requests one at a time, as fast as the server takes them. It
// ends after the last one, after an error, which aborts the call, or when the call
// ends. A request that it reads after that is not sent.
func (s requestStream) sendAll(ctx context.Context, x exchange, sending *sync.Mutex) {
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
func (s requestStream) sendOne(request proto.Message, err error) error {
	switch {
	case err == nil:
		return s.send(request)
	case errors.Is(err, io.EOF):
		return errors.Join(s.closeSend(), io.EOF)
	}
	return err
}
