// Package intake implements the service kinds.v1.Intake, one file per RPC.
package intake

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsevents"
)

// Service implements kindspb.IntakeServer.
//
// Takes events in every shape that there is.
type Service struct {
	kindspb.UnimplementedIntakeServer // answers RPCs that have no method here

	events *kindsevents.Log
}

// New returns the service. It stores events in the given log.
func New(events *kindsevents.Log) *Service {
	return &Service{events: events}
}
