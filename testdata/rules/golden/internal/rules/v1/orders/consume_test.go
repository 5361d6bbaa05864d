package orders

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1events"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1test"
)

// TestConsumer runs the tests that every consumer must pass. They find more if they can see
// what handlers do: set Effects to a function that returns the ids of the events that have
// had their effect.
func TestConsumer(t *testing.T) {
	rulesv1test.OrdersConsumer[*Service]{
		Name:    consumerName,
		New:     newService,
		Consume: (*Service).Consume,
	}.Test(t)
}

// TestConsume stores events and waits until they are handled. Test here what your handlers
// do with them.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := rulesv1events.New(log)
	if _, err := events.AppendOrderEvent(t.Context(), rulesv1test.NewOrderEvent()); err != nil {
		t.Fatal(err)
	}
	service := newService(t, events)
	servertest.Consume(t, log, consumerName, service.Consume)
}
