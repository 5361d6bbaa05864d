package orders

import (
	shopv1 "example.com/shop/gen/shop/v1"
	"example.com/shop/gen/shop/v1/shopv1events"
	"example.com/shop/internal/receiver-runtime/server"
)

// Replays what happened, and follows it.
func (s *Service) Follow(request *shopv1.FollowRequest, stream shopv1.Orders_FollowServer) error {
	ctx, stop := server.UntilDrain(stream.Context())
	defer stop()
	from := shopv1events.After(shopv1events.Position(request.GetAfter()))
	if since := request.GetSince(); since != nil {
		from = shopv1events.Since(since.AsTime())
	}
	for stored, err := range s.events.TailOrderEvent(ctx, from) {
		if err != nil {
			return err
		}
		if err := stream.Send(stored.Message); err != nil {
			return err
		}
	}
	return nil
}
