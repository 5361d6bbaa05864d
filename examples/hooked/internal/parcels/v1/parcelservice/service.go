// Package parcelservice implements the service parcels.v1.ParcelService, one file per RPC.
package parcelservice

import (
	parcelsv1 "example.com/hooked/gen/parcels/v1"
	"example.com/hooked/gen/parcels/v1/parcelsv1events"
)

// Service implements parcelsv1.ParcelServiceServer.
//
// ParcelService knows where parcels are.
type Service struct {
	parcelsv1.UnimplementedParcelServiceServer // answers RPCs that have no method here

	events *parcelsv1events.Log
}

// New returns the service. It stores events in the given log.
func New(events *parcelsv1events.Log) *Service {
	return &Service{events: events}
}
