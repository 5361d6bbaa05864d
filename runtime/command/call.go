package command

import (
	"context"
	"io"
	"iter"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

// Call is what a command does with its requests. [Unary], [ClientStream],
// [ServerStream] and [Bidi] make one, each for a kind of RPC.
type Call struct {
	request      func() proto.Message // makes an empty request
	manyRequests bool
	manyReplies  bool
	do           func(context.Context, exchange) iter.Seq2[proto.Message, error] // gives the replies as they arrive, and ends after an error
}

// Unary is a call of an RPC that takes one request and gives one reply. The
// connection that dial makes serves this call only. Request is the pointer to
// a generated message, such as *receiverpb.Event.
func Unary[Client io.Closer, Request, Reply proto.Message](
	dial func(ctx context.Context, target string, options ...client.Option) (Client, error),
	call func(context.Context, Client, Request) (Reply, error),
) Call {
	return Call{
		request: empty[Request],
		do: once(func(ctx context.Context, addr string, options []client.Option, request proto.Message) (proto.Message, error) {
			c, err := dial(ctx, addr, options...)
			if err != nil {
				return nil, err
			}
			defer c.Close()
			return call(ctx, c, request.(Request))
		}),
	}
}

// once does what takes one request and gives one reply.
func once(
	do func(ctx context.Context, addr string, options []client.Option, request proto.Message) (reply proto.Message, err error),
) func(context.Context, exchange) iter.Seq2[proto.Message, error] {
	return func(ctx context.Context, x exchange) iter.Seq2[proto.Message, error] {
		return func(yield func(proto.Message, error) bool) {
			request, err := x.requests()
			if err != nil {
				yield(nil, err)
				return
			}
			yield(do(ctx, x.addr, x.options, request))
		}
	}
}

// empty makes an empty message of a generated type.
func empty[Message proto.Message]() proto.Message {
	var none Message
	return none.ProtoReflect().New().Interface()
}
