// Package error implements the service internal.aux.testdata.v1.Error: an RPC a file.
package error

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.ErrorServer.
type Service struct {
	context.UnimplementedErrorServer // answers the RPCs that have no file
}

// New makes the service.
func New() *Service {
	return &Service{}
}
