package service

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	context2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// GetUrlX is not implemented yet.
func (s *Service) GetUrlX(ctx context.Context, request *context2.Err) (*context2.Err, error) {
	return nil, status.Error(codes.Unimplemented, "get_url_x is not implemented yet")
}
