// Package error implements the service internal.aux.testdata.v1.Error, one file per RPC.
package error

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.ErrorServer.
type Service struct {
	context.UnimplementedErrorServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}
