package orders

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	shopv1 "example.com/shop/gen/shop/v1"
	"example.com/shop/gen/shop/v1/shopv1events"
)

// Get returns an order as its last event has it.
func (s *Service) Get(ctx context.Context, request *shopv1.GetRequest) (*shopv1.Order, error) {
	var order *shopv1.Order
	for stored, err := range s.events.ReplayOrderEvent(ctx, shopv1events.From{}) {
		if err != nil {
			return nil, err
		}
		if stored.Message.GetPayload().GetName() == request.GetName() {
			order = stored.Message.GetPayload()
		}
	}
	if order == nil {
		return nil, status.Errorf(codes.NotFound, "there is no order %q", request.GetName())
	}
	return order, nil
}
