package shop

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2/shopv2events"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2/shopv2test"
)

// TestConsumer runs the tests that every consumer must pass. They find more if they can see
// what handlers do: set Effects to a function that returns the ids of the events that have
// had their effect.
func TestConsumer(t *testing.T) {
	shopv2test.ShopConsumer[*Service]{
		Name:    consumerName,
		New:     newService,
		Consume: (*Service).Consume,
	}.Test(t)
}

// TestConsume stores events and waits until they are handled. Test here what your handlers
// do with them.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := shopv2events.New(log)
	if _, err := events.AppendCommonv1Event(t.Context(), shopv2test.NewCommonv1Event()); err != nil {
		t.Fatal(err)
	}
	if _, err := events.AppendEvent(t.Context(), shopv2test.NewEvent()); err != nil {
		t.Fatal(err)
	}
	service := newService(t, events)
	servertest.Consume(t, log, consumerName, service.Consume)
}
