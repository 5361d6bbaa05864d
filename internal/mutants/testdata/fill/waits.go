// Package filled has nothing to send yet: its streams wait until their caller leaves, or
// the server drains.
package filled

import (
	"context"
	"errors"
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
)

func filledUnary[Request, Reply any, M interface {
	*Reply
	proto.Message
}](func(context.Context, *Request) (*Reply, error)) (*Reply, error) {
	return servertest.Sample[M](), nil
}

func filledServerStream[Reply any](stream interface {
	Send(*Reply) error
	Context() context.Context
}) error {
	ctx, stop := server.UntilDrain(stream.Context())
	defer stop()
	<-ctx.Done()
	return context.Cause(ctx)
}

func filledClientStream[Request, Reply any, M interface {
	*Reply
	proto.Message
}](stream interface {
	Recv() (*Request, error)
	SendAndClose(*Reply) error
}) error {
	for {
		_, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(servertest.Sample[M]())
		}
		if err != nil {
			return err
		}
	}
}

func filledBidi[Request, Reply any](stream interface {
	Recv() (*Request, error)
	Send(*Reply) error
	Context() context.Context
}) error {
	ctx, stop := server.UntilDrain(stream.Context())
	defer stop()
	<-ctx.Done()
	return context.Cause(ctx)
}
