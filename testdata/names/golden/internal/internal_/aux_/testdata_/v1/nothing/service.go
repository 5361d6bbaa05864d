// Package nothing implements the service internal.aux.testdata.v1.Nothing: an RPC a file.
package nothing

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.NothingServer.
type Service struct {
	context.UnimplementedNothingServer // answers the RPCs that have no file
}

// New makes the service.
func New() *Service {
	return &Service{}
}
