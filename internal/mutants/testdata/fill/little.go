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

// filledLeast returns a reply with no more than its proto requires.
func filledLeast[M proto.Message]() M {
	if reply := servertest.Least[M](); proto.CheckInitialized(reply) == nil {
		return reply
	}
	return servertest.Sample[M]()
}

func filledUnary[Request, Reply any, M interface {
	*Reply
	proto.Message
}](func(context.Context, *Request) (*Reply, error)) (*Reply, error) {
	return filledLeast[M](), nil
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
			return stream.SendAndClose(filledLeast[M]())
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
