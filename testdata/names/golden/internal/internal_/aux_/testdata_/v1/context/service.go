// Package context implements the service internal.aux.testdata.v1.Context, one file per RPC.
package context

import context2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context2.ContextServer.
type Service struct {
	context2.UnimplementedContextServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}
