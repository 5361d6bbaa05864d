package orders

import (
	"context"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/gen/shop/v1"
)

// Stores an order.
func (s *Service) Take(ctx context.Context, event *shopv1.OrderEvent) (*shopv1.Reply, error) {
	if _, err := s.events.AppendOrderEvent(ctx, event); err != nil {
		return nil, err
	}
	return &shopv1.Reply{Message: "stored"}, nil
}
