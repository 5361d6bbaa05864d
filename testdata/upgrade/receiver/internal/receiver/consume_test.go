package receiver

import (
	"context"
	"testing"

	"example.com/receiver/gen/receiverpb/receiverevents"
	"example.com/receiver/gen/receiverpb/receivertest"
	"example.com/receiver/internal/receiver-runtime/servertest"
)

// What is stored is handled, without an error.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := receiverevents.New(log)
	service := newService(t, events).(interface{ Consume(context.Context) error })
	if _, err := events.AppendEvent(t.Context(), receivertest.NewEvent()); err != nil {
		t.Fatal(err)
	}
	servertest.Consume(t, log, "Receiver", service.Consume)
}
