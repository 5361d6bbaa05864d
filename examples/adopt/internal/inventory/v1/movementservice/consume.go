package movementservice

import (
	"context"

	inventoryv1 "example.com/inventory/gen/inventory/v1"
	"example.com/inventory/gen/inventory/v1/inventoryv1events"
)

// consumerName is the name by which the log knows what was handled. A consumer of
// another name begins with the first event.
const consumerName = "inventory.v1.MovementService"

// Consume handles stored events until ctx ends, each at least once, and those of
// one source and subject in order. It gets all events of these types in the log,
// whichever service stored them.
func (s *Service) Consume(ctx context.Context) error {
	return s.events.Consume(ctx, consumerName,
		inventoryv1events.OnMovementEvent(s.storedMovementEvent),
	)
}

// storedMovementEvent moves the stock. If it returns an error, it is called again
// later; after ten tries the event goes to the dead letters.
func (s *Service) storedMovementEvent(ctx context.Context, event inventoryv1events.Stored[*inventoryv1.MovementEvent]) error {
	return s.store.Move(ctx, int64(event.Position), event.Message.GetSku(), event.Message.GetQuantity())
}
