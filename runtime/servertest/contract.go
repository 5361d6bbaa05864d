package servertest

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Answers tests an RPC of any kind: an empty request and a full one each get an
// answer, or an error that has a code. A nil sample means a request with a
// value in every field.
func Answers[Request proto.Message](t *testing.T, options Options, sample func() Request, send func(context.Context, Request) error) {
	if sample == nil {
		sample = func() Request { return Sample[Request]() }
	}
	for name, request := range map[string]Request{"an empty request": empty[Request](), "a full request": sample()} {
		if proto.CheckInitialized(request) != nil {
			continue // no client could send it
		}
		options.part(t, name, func(t *testing.T) {
			switch err := send(options.context(t), request); status.Code(err) {
			case codes.Unknown, codes.Internal, codes.DeadlineExceeded:
				t.Errorf("error is %v, want one with a code that shows the caller what to do", err)
			}
		})
	}
}

// First waits for the first message of a stream and returns the stream's error. A
// stream that ends without a message is not an error.
func First[Reply any](stream interface{ Recv() (*Reply, error) }) error {
	_, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func empty[M proto.Message]() M {
	var none M
	return none.ProtoReflect().New().Interface().(M)
}
