// Package movementservice implements the service inventory.v1.MovementService, one file per RPC.
package movementservice

import (
	inventoryv1 "example.com/inventory/gen/inventory/v1"
	"example.com/inventory/gen/inventory/v1/inventoryv1events"
	"example.com/inventory/internal/inventory"
)

// Service implements inventoryv1.MovementServiceServer.
//
// MovementService takes what happens to the stock in warehouses.
type Service struct {
	inventoryv1.UnimplementedMovementServiceServer // answers RPCs that have no method here

	events *inventoryv1events.Log
	store  *inventory.Store
}

// New returns the service. It stores movements in the given log, and then moves the
// stock in the store.
func New(events *inventoryv1events.Log, store *inventory.Store) *Service {
	return &Service{events: events, store: store}
}
