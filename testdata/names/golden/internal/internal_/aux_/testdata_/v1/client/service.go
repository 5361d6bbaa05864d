// Package client implements the service internal.aux.testdata.v1.Client, one file per RPC.
package client

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contextevents"
)

// Service implements context.ClientServer.
type Service struct {
	context.UnimplementedClientServer // answers RPCs that have no method here

	events *contextevents.Log
}

// New returns the service. It stores events in the given log.
func New(events *contextevents.Log) *Service {
	return &Service{events: events}
}
