// Package meter implements the service comments.Meter, one file per RPC.
package meter

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb/commentsevents"
)

// Service implements commentspb.MeterServer.
type Service struct {
	commentspb.UnimplementedMeterServer // answers RPCs that have no method here

	events *commentsevents.Log
}

// New returns the service. It stores events in the given log.
func New(events *commentsevents.Log) *Service {
	return &Service{events: events}
}
