package orderintake

import (
	"context"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/orders/golden/gen/shop/v1"
)

// Takes one event. An event that was taken is never lost.
func (s *Service) TakeOrder(ctx context.Context, event *shopv1.OrderEvent) (*shopv1.Taken, error) {
	if _, err := s.events.AppendOrderEvent(ctx, event); err != nil {
		return nil, err
	}
	return &shopv1.Taken{}, nil
}
