package orders

import (
	shopv1 "example.com/shop/gen/shop/v1"
	"example.com/shop/gen/shop/v1/shopv1events"
	"example.com/shop/internal/receiver-runtime/server"
)

// Follow sends what is stored behind the position asked for since the time
// asked for, and then what comes.
//
// Replays what happened, and follows it.
func (s *Service) Follow(request *shopv1.FollowRequest, stream shopv1.Orders_FollowServer) error {
	ctx, stop := server.UntilDrain(stream.Context())
	defer stop()
	for stored, err := range s.events.TailOrderEvent(ctx, shopv1events.Position(request.GetAfter())) {
		if err != nil {
			return err
		}
		if stored.Recorded.Before(request.GetSince().AsTime()) {
			continue
		}
		if err := stream.Send(stored.Message); err != nil {
			return err
		}
	}
	return nil
}
