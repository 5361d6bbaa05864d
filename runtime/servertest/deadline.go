package servertest

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

// callTimeout is how long a call may take whose context has no deadline.
var callTimeout = 10 * time.Second

// Dialing returns options for the client of a test: it makes each call once, and a
// call whose context has no deadline ends after 10 seconds with DeadlineExceeded and
// the name of its method, so that a test does not wait for what never comes.
func Dialing() []client.Option {
	return []client.Option{client.Once(), client.With(
		grpc.WithDisableRetry(),
		grpc.WithChainUnaryInterceptor(unaryDeadline),
		grpc.WithChainStreamInterceptor(streamDeadline),
	)}
}

func unaryDeadline(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); ok {
		return invoke(ctx, method, request, reply, conn, options...)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return named(ctx, invoke(ctx, method, request, reply, conn, options...), method)
}

func streamDeadline(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	if _, ok := ctx.Deadline(); ok {
		return open(ctx, desc, conn, method, options...)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	stream, err := open(ctx, desc, conn, method, options...)
	if err != nil {
		defer cancel()
		return nil, named(ctx, err, method)
	}
	return &limitedStream{stream, ctx, cancel, method}, nil
}

// limitedStream is a stream with a deadline of this package.
type limitedStream struct {
	grpc.ClientStream
	limited context.Context
	cancel  context.CancelFunc
	method  string
}

// RecvMsg implements [grpc.ClientStream]. With its first error the call has ended.
func (s *limitedStream) RecvMsg(message any) error {
	err := s.ClientStream.RecvMsg(message)
	if err != nil {
		defer s.cancel()
	}
	return named(s.limited, err, s.method)
}

// named adds to the error of a call that took too long which one it was. The server
// may have ended it, a moment before its context did.
func named(ctx context.Context, err error, method string) error {
	deadline, _ := ctx.Deadline()
	if status.Code(err) != codes.DeadlineExceeded || time.Until(deadline) > callTimeout/4 {
		return err
	}
	return status.Errorf(codes.DeadlineExceeded, "%s did not answer within %s: it may wait for what this test does not do", method, callTimeout)
}
