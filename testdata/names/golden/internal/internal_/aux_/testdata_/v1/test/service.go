// Package test implements the service internal.aux.testdata.v1.Test, one file per RPC.
package test

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.TestServer.
type Service struct {
	context.UnimplementedTestServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}
