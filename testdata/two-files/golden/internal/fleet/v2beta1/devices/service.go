// Package devices implements the service fleet.v2beta1.Devices: an RPC a file.
package devices

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb/fleetevents"
)

// Service implements fleetpb.DevicesServer.
type Service struct {
	fleetpb.UnimplementedDevicesServer // answers the RPCs that have no file

	events *fleetevents.Log
}

// New makes the service. Events go to the given log.
func New(events *fleetevents.Log) *Service {
	return &Service{events: events}
}
