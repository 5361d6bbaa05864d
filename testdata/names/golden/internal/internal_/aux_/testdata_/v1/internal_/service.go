// Package internal_ implements the service internal.aux.testdata.v1.Internal, one file per RPC.
package internal_

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.InternalServer.
type Service struct {
	context.UnimplementedInternalServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}
