// Package type_ implements the service internal.aux.testdata.v1.Type, one file per RPC.
package type_

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.TypeServer.
type Service struct {
	context.UnimplementedTypeServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}
