// Package legacy implements the service legacy.Legacy, one file per RPC.
package legacy

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb/legacyevents"
)

// Service implements legacypb.LegacyServer.
type Service struct {
	legacypb.UnimplementedLegacyServer // answers RPCs that have no method here

	events *legacyevents.Log
}

// New returns the service. It stores events in the given log.
func New(events *legacyevents.Log) *Service {
	return &Service{events: events}
}
