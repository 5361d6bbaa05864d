package movementservice

import (
	inventoryv1 "example.com/inventory/gen/inventory/v1"
	"example.com/inventory/gen/inventory/v1/inventoryv1events"
	"example.com/inventory/internal/receiver-runtime/server"
)

// WatchMovements sends the stored movements after a position, and then each new
// one.
func (s *Service) WatchMovements(request *inventoryv1.WatchMovementsRequest, stream inventoryv1.MovementService_WatchMovementsServer) error {
	ctx, stop := server.UntilDrain(stream.Context())
	defer stop()
	from := inventoryv1events.After(inventoryv1events.Position(request.GetAfter()))
	for stored, err := range s.events.TailMovementEvent(ctx, from) {
		if err != nil {
			return err
		}
		err = stream.Send(&inventoryv1.WatchMovementsResponse{
			Movement: stored.Message,
			Position: uint64(stored.Position),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
