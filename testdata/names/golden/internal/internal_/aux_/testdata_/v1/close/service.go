// Package close implements the service internal.aux.testdata.v1.Close, one file per RPC.
package close

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.CloseServer.
type Service struct {
	context.UnimplementedCloseServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}
