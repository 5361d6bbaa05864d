package service

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	context2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// ReadTest is not implemented yet.
func (s *Service) ReadTest(ctx context.Context, request *context2.Err) (*context2.Err, error) {
	return nil, status.Error(codes.Unimplemented, "ReadTest is not implemented yet")
}
