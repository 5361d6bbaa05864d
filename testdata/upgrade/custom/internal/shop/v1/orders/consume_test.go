package orders

import (
	"context"
	"testing"

	"example.com/shop/gen/shop/v1/shopv1events"
	"example.com/shop/gen/shop/v1/shopv1test"
	"example.com/shop/internal/receiver-runtime/servertest"
)

// What is stored is handled, without an error.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := shopv1events.New(log)
	service := newService(t, events).(interface{ Consume(context.Context) error })
	if _, err := events.AppendOrderEvent(t.Context(), shopv1test.NewOrderEvent()); err != nil {
		t.Fatal(err)
	}
	servertest.Consume(t, log, "shop.v1.Orders", service.Consume)
}
