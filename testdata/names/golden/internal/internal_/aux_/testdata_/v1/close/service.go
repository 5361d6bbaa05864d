// Package close implements the service internal.aux.testdata.v1.Close: an RPC a file.
package close

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.CloseServer.
type Service struct {
	context.UnimplementedCloseServer // answers the RPCs that have no file
}

// New makes the service.
func New() *Service {
	return &Service{}
}
