package legacy

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb"
)

// Its reply can't be empty, so it is for the user to write.
func (s *Service) Take(ctx context.Context, request *legacypb.LegacyEvent) (*legacypb.Receipt, error) {
	return nil, status.Error(codes.Unimplemented, "Take is not implemented yet")
}
