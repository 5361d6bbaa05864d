// Package commands implements the service internal.aux.testdata.v1.Commands: an RPC a file.
package commands

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.CommandsServer.
type Service struct {
	context.UnimplementedCommandsServer // answers the RPCs that have no file
}

// New makes the service.
func New() *Service {
	return &Service{}
}
