// Package readings implements the service fleet.v2beta1.Readings: an RPC a file.
package readings

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb/fleetevents"
)

// Service implements fleetpb.ReadingsServer.
type Service struct {
	fleetpb.UnimplementedReadingsServer // answers the RPCs that have no file

	events *fleetevents.Log
}

// New makes the service. Events go to the given log.
func New(events *fleetevents.Log) *Service {
	return &Service{events: events}
}
