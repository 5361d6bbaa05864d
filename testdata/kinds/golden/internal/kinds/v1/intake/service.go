// Package intake implements the service kinds.v1.Intake: an RPC a file.
package intake

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsevents"
)

// Service implements kindspb.IntakeServer.
//
// Takes events in every shape that there is.
type Service struct {
	kindspb.UnimplementedIntakeServer // answers the RPCs that have no file

	events *kindsevents.Log
}

// New makes the service. Events go to the given log.
func New(events *kindsevents.Log) *Service {
	return &Service{events: events}
}
