package receiver

import (
	"testing"

	"example.com/receiver/gen/receiverpb/receiverevents"
	"example.com/receiver/gen/receiverpb/receivertest"
	"example.com/receiver/internal/receiver-runtime/servertest"
)

// TestConsume tests that stored events are handled without an error.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := receiverevents.New(log)
	if _, err := events.AppendEvent(t.Context(), receivertest.NewEvent()); err != nil {
		t.Fatal(err)
	}
	service := newService(t, events)
	servertest.Consume(t, log, consumerName, service.Consume)
}
