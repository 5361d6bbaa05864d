// Package commands implements the service internal.aux.testdata.v1.Commands, one file per RPC.
package commands

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.CommandsServer.
type Service struct {
	context.UnimplementedCommandsServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}
