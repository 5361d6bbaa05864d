package orders

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	shopv1 "example.com/shop/gen/shop/v1"
)

// Returns an order in its current state.
func (s *Service) Get(ctx context.Context, request *shopv1.GetRequest) (*shopv1.Order, error) {
	return nil, status.Error(codes.Unimplemented, "Get is not implemented yet")
}
