// Package filled knows nothing of what callers ask for.
package filled

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var errNotFound = status.Error(codes.NotFound, "there is no such thing")

func filledUnary[Request, Reply any](func(context.Context, *Request) (*Reply, error)) (*Reply, error) {
	return nil, errNotFound
}

func filledServerStream[Reply any](interface{ Send(*Reply) error }) error { return errNotFound }

func filledClientStream[Request, Reply any](interface {
	Recv() (*Request, error)
	SendAndClose(*Reply) error
}) error {
	return errNotFound
}

func filledBidi[Request, Reply any](interface {
	Recv() (*Request, error)
	Send(*Reply) error
}) error {
	return errNotFound
}
