// Package devices implements the service fleet.v2beta1.Devices, one file per RPC.
package devices

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb/fleetevents"
)

// Service implements fleetpb.DevicesServer.
type Service struct {
	fleetpb.UnimplementedDevicesServer // answers RPCs that have no method here

	events *fleetevents.Log
}

// New returns the service. It stores events in the given log.
func New(events *fleetevents.Log) *Service {
	return &Service{events: events}
}
