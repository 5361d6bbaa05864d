// Package intake implements the service replies.v1.Intake, one file per RPC.
package intake

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb/repliesevents"
)

// Service implements repliespb.IntakeServer.
//
// Says in its replies what became of the events.
type Service struct {
	repliespb.UnimplementedIntakeServer // answers RPCs that have no method here

	events *repliesevents.Log
}

// New returns the service. It stores events in the given log.
func New(events *repliesevents.Log) *Service {
	return &Service{events: events}
}
