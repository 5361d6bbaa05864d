package orderintake

import (
	"context"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/orders/golden/gen/shop/v1/shopv1events"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/orders/golden/gen/shop/v1/shopv1test"
)

// What is stored is handled, without an error.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := shopv1events.New(log)
	service := newService(t, events).(interface{ Consume(context.Context) error })
	if _, err := events.AppendOrderEvent(t.Context(), shopv1test.NewOrderEvent()); err != nil {
		t.Fatal(err)
	}
	servertest.Consume(t, log, "shop.v1.OrderIntake", service.Consume)
}
