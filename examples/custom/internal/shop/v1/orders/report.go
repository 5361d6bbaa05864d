package orders

import (
	"context"

	shopv1 "example.com/shop/gen/shop/v1"
)

// Stores what happened to an order.
func (s *Service) Report(ctx context.Context, event *shopv1.OrderEvent) (*shopv1.Reported, error) {
	if _, err := s.events.AppendOrderEvent(ctx, event); err != nil {
		return nil, err
	}
	return &shopv1.Reported{Message: "stored"}, nil
}
