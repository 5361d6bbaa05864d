// Package filled answers with as little as a right implementation may: empty replies, and
// streams without any.
package filled

import (
	"context"
	"errors"
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
)

func filledUnary[Request, Reply any, M interface {
	*Reply
	proto.Message
}](func(context.Context, *Request) (*Reply, error)) (*Reply, error) {
	return servertest.Least[M](), nil
}

func filledServerStream[Reply any](interface{ Send(*Reply) error }) error { return nil }

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
			return stream.SendAndClose(servertest.Least[M]())
		}
		if err != nil {
			return err
		}
	}
}

func filledBidi[Request, Reply any](stream interface {
	Recv() (*Request, error)
	Send(*Reply) error
}) error {
	for {
		_, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
