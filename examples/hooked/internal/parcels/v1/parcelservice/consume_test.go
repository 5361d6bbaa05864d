package parcelservice

import (
	"testing"

	"example.com/hooked/gen/parcels/v1/parcelsv1events"
	"example.com/hooked/gen/parcels/v1/parcelsv1test"
	"example.com/hooked/internal/receiver-runtime/servertest"
)

// TestConsumer runs the tests that every consumer must pass. They find more if they can see
// what handlers do: set Effects to a function that returns the ids of the events that have
// had their effect.
func TestConsumer(t *testing.T) {
	parcelsv1test.ParcelServiceConsumer[*Service]{
		Name:    consumerName,
		New:     newService,
		Consume: (*Service).Consume,
	}.Test(t)
}

// TestConsume stores events and waits until they are handled. Test here what your handlers
// do with them.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := parcelsv1events.New(log)
	if _, err := events.AppendScanEvent(t.Context(), parcelsv1test.NewScanEvent()); err != nil {
		t.Fatal(err)
	}
	service := newService(t, events)
	servertest.Consume(t, log, consumerName, service.Consume)
}
