// Package nothing implements the service internal.aux.testdata.v1.Nothing, one file per RPC.
package nothing

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.NothingServer.
type Service struct {
	context.UnimplementedNothingServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}
