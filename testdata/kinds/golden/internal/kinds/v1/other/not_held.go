package other

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// NotHeld is not implemented yet.
func (s *Service) NotHeld(ctx context.Context, request *kindspb.UpdateRequest) (*kindspb.Reply, error) {
	return nil, status.Error(codes.Unimplemented, "NotHeld is not implemented yet")
}
