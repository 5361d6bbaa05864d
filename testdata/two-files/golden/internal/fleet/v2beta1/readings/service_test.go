package readings

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb/fleetevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb/fleetserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb/fleettest"
)

// newService makes the service for every test, as main does.
func newService(_ testing.TB, events *fleetevents.Log) *Service {
	return New(events)
}

// serve runs the service with a new log, and returns a client of it and the log.
func serve(t testing.TB) (fleetpb.ReadingsClient, *fleetevents.Log) {
	events := fleetevents.New(servertest.Log(t))
	return fleettest.Serve(t, fleetserver.Readings(newService(t, events))).Readings(), events
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	fleettest.ReadingsContract{
		NewService: func(t testing.TB, events *fleetevents.Log) fleetpb.ReadingsServer {
			return newService(t, events)
		},
	}.Test(t)
}
