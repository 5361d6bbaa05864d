// Package internal_ implements the service internal.aux.testdata.v1.Internal: an RPC a file.
package internal_

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.InternalServer.
type Service struct {
	context.UnimplementedInternalServer // answers the RPCs that have no file
}

// New makes the service.
func New() *Service {
	return &Service{}
}
