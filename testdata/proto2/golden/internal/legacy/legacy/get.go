package legacy

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb"
)

// Get is not implemented yet.
func (s *Service) Get(ctx context.Context, request *legacypb.Receipt) (*legacypb.Receipt, error) {
	return nil, status.Error(codes.Unimplemented, "Get is not implemented yet")
}
