package receiver

import (
	"testing"

	"example.com/receiver/gen/receiverpb/receiverevents"
	"example.com/receiver/gen/receiverpb/receivertest"
	"example.com/receiver/internal/receiver-runtime/servertest"
)

// TestConsumer runs the tests that every consumer must pass. They find more if they can see
// what handlers do: set Effects to a function that returns the ids of the events that have
// had their effect.
func TestConsumer(t *testing.T) {
	receivertest.ReceiverConsumer[*Service]{
		Name:    consumerName,
		New:     newService,
		Consume: (*Service).Consume,
	}.Test(t)
}

// TestConsume stores events and waits until they are handled. Test here what your handlers
// do with them.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := receiverevents.New(log)
	if _, err := events.AppendEvent(t.Context(), receivertest.NewEvent()); err != nil {
		t.Fatal(err)
	}
	service := newService(t, events)
	servertest.Consume(t, log, consumerName, service.Consume)
}
