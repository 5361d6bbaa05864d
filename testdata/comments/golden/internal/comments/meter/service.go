// Package meter implements the service comments.Meter: an RPC a file.
package meter

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb/commentsevents"
)

// Service implements commentspb.MeterServer.
type Service struct {
	commentspb.UnimplementedMeterServer // answers the RPCs that have no file

	events *commentsevents.Log
}

// New makes the service. Events go to the given log.
func New(events *commentsevents.Log) *Service {
	return &Service{events: events}
}
