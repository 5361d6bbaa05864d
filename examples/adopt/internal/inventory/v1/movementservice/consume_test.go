package movementservice

import (
	"testing"

	"example.com/inventory/gen/inventory/v1/inventoryv1events"
	"example.com/inventory/gen/inventory/v1/inventoryv1test"
	"example.com/inventory/internal/receiver-runtime/servertest"
)

// TestConsume tests that stored events are handled without an error.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := inventoryv1events.New(log)
	if _, err := events.AppendMovementEvent(t.Context(), inventoryv1test.NewMovementEvent()); err != nil {
		t.Fatal(err)
	}
	service := newService(t, events)
	servertest.Consume(t, log, consumerName, service.Consume)
}
