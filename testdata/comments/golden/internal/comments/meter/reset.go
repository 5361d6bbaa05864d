package meter

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb"
)

// Reset is not implemented yet.
func (s *Service) Reset(ctx context.Context, request *commentspb.ResetEvent) (*commentspb.Measured, error) {
	return nil, status.Error(codes.Unimplemented, "Reset is not implemented yet")
}
