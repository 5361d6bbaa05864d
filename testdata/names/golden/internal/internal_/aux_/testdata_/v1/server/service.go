// Package server implements the service internal.aux.testdata.v1.Server, one file per RPC.
package server

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contextevents"
)

// Service implements context.ServerServer.
type Service struct {
	context.UnimplementedServerServer // answers RPCs that have no method here

	events *contextevents.Log
}

// New returns the service. It stores events in the given log.
func New(events *contextevents.Log) *Service {
	return &Service{events: events}
}
