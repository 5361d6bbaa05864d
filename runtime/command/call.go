package command

import (
	"context"
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

// Call is what a command does with its request. [Unary] makes one.
type Call struct {
	request func() proto.Message // makes an empty request
	do      func(ctx context.Context, addr string, options []client.Option, request proto.Message) (reply proto.Message, err error)
}

// Unary is a call of an RPC that takes one request and gives one reply. The
// connection that dial makes serves this call only. Request is the pointer to
// a generated message, such as *receiverpb.Event.
func Unary[Client io.Closer, Request, Reply proto.Message](
	dial func(ctx context.Context, target string, options ...client.Option) (Client, error),
	call func(context.Context, Client, Request) (Reply, error),
) Call {
	return Call{
		request: func() proto.Message {
			var none Request
			return none.ProtoReflect().New().Interface()
		},
		do: func(ctx context.Context, addr string, options []client.Option, request proto.Message) (proto.Message, error) {
			c, err := dial(ctx, addr, options...)
			if err != nil {
				return nil, err
			}
			defer c.Close()
			return call(ctx, c, request.(Request))
		},
	}
}
