package devices

import (
	"context"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb/fleetevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb/fleettest"
)

// What is stored is handled, without an error.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := fleetevents.New(log)
	service := newService(t, events).(interface{ Consume(context.Context) error })
	if _, err := events.AppendReading_StateEvent(t.Context(), fleettest.NewReading_StateEvent()); err != nil {
		t.Fatal(err)
	}
	servertest.Consume(t, log, "fleet.v2beta1.Devices", service.Consume)
}
