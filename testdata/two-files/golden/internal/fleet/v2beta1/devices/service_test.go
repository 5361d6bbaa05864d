package devices

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb/fleetevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb/fleetserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb/fleettest"
)

// newService builds the service for every test, as main does, on the given log.
func newService(_ testing.TB, events *fleetevents.Log) fleetpb.DevicesServer {
	return New(events)
}

// serve runs the service on a log of its own, and returns a client of it and the log.
func serve(t testing.TB) (fleetpb.DevicesClient, *fleetevents.Log) {
	events := fleetevents.New(servertest.Log(t))
	return fleettest.Serve(t, fleetserver.Devices(newService(t, events))).Devices(), events
}

func TestContract(t *testing.T) {
	fleettest.DevicesContract{NewService: newService}.Test(t)
}
