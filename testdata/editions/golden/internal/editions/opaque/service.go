// Package opaque implements the service editions.Opaque: an RPC a file.
package opaque

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb/editionsevents"
)

// Service implements editionspb.OpaqueServer.
type Service struct {
	editionspb.UnimplementedOpaqueServer // answers the RPCs that have no file

	events *editionsevents.Log
}

// New makes the service. Events go to the given log.
func New(events *editionsevents.Log) *Service {
	return &Service{events: events}
}
