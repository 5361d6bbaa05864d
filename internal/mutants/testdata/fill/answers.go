// Package filled answers each request in full.
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
	return servertest.Sample[M](), nil
}

func filledServerStream[Reply any, M interface {
	*Reply
	proto.Message
}](stream interface{ Send(*Reply) error }) error {
	for range 3 {
		if err := stream.Send(servertest.Sample[M]()); err != nil {
			return err
		}
	}
	return nil
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

func filledBidi[Request, Reply any, M interface {
	*Reply
	proto.Message
}](stream interface {
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
		if err := stream.Send(servertest.Sample[M]()); err != nil {
			return err
		}
	}
}
