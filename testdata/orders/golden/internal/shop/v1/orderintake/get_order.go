package orderintake

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/orders/golden/gen/shop/v1"
)

// Says what became of an order.
func (s *Service) GetOrder(ctx context.Context, request *shopv1.GetOrderRequest) (*shopv1.Order, error) {
	return nil, status.Error(codes.Unimplemented, "GetOrder is not implemented yet")
}
