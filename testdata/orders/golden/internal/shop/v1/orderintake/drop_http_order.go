package orderintake

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/orders/golden/gen/shop/v1"
)

// DropHTTPOrder is not implemented yet.
//
// Deprecated: the proto says so.
func (s *Service) DropHTTPOrder(ctx context.Context, request *shopv1.GetOrderRequest) (*shopv1.Order, error) {
	return nil, status.Error(codes.Unimplemented, "DropHTTPOrder is not implemented yet")
}
