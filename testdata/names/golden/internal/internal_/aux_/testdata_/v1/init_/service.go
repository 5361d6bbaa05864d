// Package init_ implements the service internal.aux.testdata.v1.Init: an RPC a file.
package init_

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.InitServer.
type Service struct {
	context.UnimplementedInitServer // answers the RPCs that have no file
}

// New makes the service.
func New() *Service {
	return &Service{}
}
