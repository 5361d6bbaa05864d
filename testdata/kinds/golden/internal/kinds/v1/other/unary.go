package other

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// Unary is not implemented yet.
func (s *Service) Unary(ctx context.Context, request *kindspb.Reply) (*kindspb.Reply, error) {
	return nil, status.Error(codes.Unimplemented, "Unary is not implemented yet")
}
