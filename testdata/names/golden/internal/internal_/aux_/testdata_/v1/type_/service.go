// Package type_ implements the service internal.aux.testdata.v1.Type: an RPC a file.
package type_

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.TypeServer.
type Service struct {
	context.UnimplementedTypeServer // answers the RPCs that have no file
}

// New makes the service.
func New() *Service {
	return &Service{}
}
