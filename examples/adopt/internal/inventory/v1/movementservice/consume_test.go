package movementservice

import (
	"fmt"
	"testing"

	"example.com/inventory/gen/inventory/v1/inventoryv1events"
	"example.com/inventory/gen/inventory/v1/inventoryv1test"
	"example.com/inventory/internal/receiver-runtime/servertest"
)

// TestConsume tests that stored movements move the stock, those that are stored once.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := inventoryv1events.New(log)
	service := newService(t, events)
	for i, quantity := range []int64{5, -2} {
		movement := inventoryv1test.NewMovementEvent()
		movement.EventId, movement.Sku, movement.Quantity = fmt.Sprint(i), "tea", quantity
		for range 2 { // as a sender does that got no answer
			if _, err := events.AppendMovementEvent(t.Context(), movement); err != nil {
				t.Fatal(err)
			}
		}
	}
	servertest.Consume(t, log, consumerName, service.Consume)
	if quantity, err := service.store.Quantity(t.Context(), "tea"); err != nil || quantity != 3 {
		t.Errorf("the stock is %d (%v), want 3", quantity, err)
	}
}
