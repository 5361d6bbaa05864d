// Package client implements the service internal.aux.testdata.v1.Client: an RPC a file.
package client

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contextevents"
)

// Service implements context.ClientServer.
type Service struct {
	context.UnimplementedClientServer // answers the RPCs that have no file

	events *contextevents.Log
}

// New makes the service. Events go to the given log.
func New(events *contextevents.Log) *Service {
	return &Service{events: events}
}
