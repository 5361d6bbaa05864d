package orders

import (
	"testing"

	"example.com/shop/gen/shop/v1/shopv1events"
	"example.com/shop/gen/shop/v1/shopv1test"
	"example.com/shop/internal/receiver-runtime/servertest"
)

// TestConsume tests that stored events are handled without an error.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := shopv1events.New(log)
	if _, err := events.AppendOrderEvent(t.Context(), shopv1test.NewOrderEvent()); err != nil {
		t.Fatal(err)
	}
	service := newService(t, events)
	servertest.Consume(t, log, consumerName, service.Consume)
}
