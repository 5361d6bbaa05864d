package command

import (
	"context"
	"errors"
	"io"
	"iter"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

// Call is a call of an RPC. [Unary], [ClientStream], [ServerStream] and [Bidi]
// make one, each for its kind of RPC.
type Call struct {
	request, reply func() proto.Message // return empty ones
	manyRequests   bool
	manyReplies    bool
	do             func(context.Context, exchange) iter.Seq2[proto.Message, error] // yields the replies as they arrive, and ends after an error
}

// Unary returns a call of an RPC with one request and one reply. The connection
// that dial makes is used for this command only. Request is a pointer to a generated
// message, such as *receiverpb.Event.
func Unary[Client io.Closer, Request, Reply proto.Message](
	dial func(ctx context.Context, target string, options ...client.Option) (Client, error),
	call func(context.Context, Client, Request) (Reply, error),
) Call {
	return Call{
		request: empty[Request], reply: empty[Reply],
		do: func(ctx context.Context, x exchange) iter.Seq2[proto.Message, error] {
			return func(yield func(proto.Message, error) bool) {
				var c Client
				dialed := false
				one := once(func(ctx context.Context, addr string, options []client.Option, request proto.Message) (proto.Message, error) {
					if !dialed {
						var err error
						if c, err = dial(ctx, addr, options...); err != nil {
							return nil, err
						}
						dialed = true
					}
					return call(ctx, c, request.(Request))
				})
				one(ctx, x)(yield)
				if dialed {
					c.Close()
				}
			}
		},
	}
}

// once returns the do of a Call with one reply to each request.
func once(
	do func(ctx context.Context, addr string, options []client.Option, request proto.Message) (reply proto.Message, err error),
) func(context.Context, exchange) iter.Seq2[proto.Message, error] {
	return func(ctx context.Context, x exchange) iter.Seq2[proto.Message, error] {
		return func(yield func(proto.Message, error) bool) {
			for {
				request, err := await(ctx, x.requests)
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					yield(nil, err)
					return
				}
				within, done := x.each(ctx)
				reply, err := do(within, x.addr, x.options, request)
				err = done(err)
				if !yield(reply, err) || err != nil {
					return
				}
			}
		}
	}
}

// await returns the next request, or why ctx ended, whichever comes first: the standard
// input may be silent for as long as it likes.
func await(ctx context.Context, next func() (proto.Message, error)) (request proto.Message, err error) {
	read := make(chan struct{})
	var r struct {
		request proto.Message
		err     error
	}
	go func() {
		defer close(read)
		r.request, r.err = next()
	}()
	select {
	case <-read:
		return r.request, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// empty returns an empty message of a generated type.
func empty[Message proto.Message]() proto.Message {
	var typed Message
	return typed.ProtoReflect().New().Interface()
}
