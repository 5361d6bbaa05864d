package parcelservice

import (
	"testing"

	"example.com/hooked/gen/parcels/v1/parcelsv1events"
	"example.com/hooked/gen/parcels/v1/parcelsv1test"
	"example.com/hooked/internal/receiver-runtime/servertest"
)

// TestConsume tests that stored events are handled without an error.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := parcelsv1events.New(log)
	if _, err := events.AppendScanEvent(t.Context(), parcelsv1test.NewScanEvent()); err != nil {
		t.Fatal(err)
	}
	service := newService(t, events)
	servertest.Consume(t, log, consumerName, service.Consume)
}
