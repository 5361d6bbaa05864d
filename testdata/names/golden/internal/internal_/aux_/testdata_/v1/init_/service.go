// Package init_ implements the service internal.aux.testdata.v1.Init, one file per RPC.
package init_

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.InitServer.
type Service struct {
	context.UnimplementedInitServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}
