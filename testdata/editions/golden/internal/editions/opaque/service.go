// Package opaque implements the service editions.Opaque, one file per RPC.
package opaque

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb/editionsevents"
)

// Service implements editionspb.OpaqueServer.
type Service struct {
	editionspb.UnimplementedOpaqueServer // answers RPCs that have no method here

	events *editionsevents.Log
}

// New returns the service. It stores events in the given log.
func New(events *editionsevents.Log) *Service {
	return &Service{events: events}
}
