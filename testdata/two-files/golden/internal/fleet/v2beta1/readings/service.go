// Package readings implements the service fleet.v2beta1.Readings, one file per RPC.
package readings

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb/fleetevents"
)

// Service implements fleetpb.ReadingsServer.
type Service struct {
	fleetpb.UnimplementedReadingsServer // answers RPCs that have no method here

	events *fleetevents.Log
}

// New returns the service. It stores events in the given log.
func New(events *fleetevents.Log) *Service {
	return &Service{events: events}
}
