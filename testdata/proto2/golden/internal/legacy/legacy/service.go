// Package legacy implements the service legacy.Legacy: an RPC a file.
package legacy

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb/legacyevents"
)

// Service implements legacypb.LegacyServer.
type Service struct {
	legacypb.UnimplementedLegacyServer // answers the RPCs that have no file

	events *legacyevents.Log
}

// New makes the service. Events go to the given log.
func New(events *legacyevents.Log) *Service {
	return &Service{events: events}
}
