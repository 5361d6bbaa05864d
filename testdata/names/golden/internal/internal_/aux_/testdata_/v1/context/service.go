// Package context implements the service internal.aux.testdata.v1.Context: an RPC a file.
package context

import context2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context2.ContextServer.
type Service struct {
	context2.UnimplementedContextServer // answers the RPCs that have no file
}

// New makes the service.
func New() *Service {
	return &Service{}
}
