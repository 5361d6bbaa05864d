package prices

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/gen/shop/v1"
)

// Get is this house's skeleton.
func (s *Service) Get(context.Context, *shopv1.CountRequest) (*shopv1.Reply, error) {
	return nil, status.Error(codes.Unimplemented, "Get is not written yet")
}
