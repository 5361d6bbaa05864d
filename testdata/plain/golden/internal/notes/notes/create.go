package notes

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/plain/golden/gen/notespb"
)

// Create is not implemented yet.
func (s *Service) Create(ctx context.Context, request *notespb.Note) (*notespb.Note, error) {
	return nil, status.Error(codes.Unimplemented, "Create is not implemented yet")
}
