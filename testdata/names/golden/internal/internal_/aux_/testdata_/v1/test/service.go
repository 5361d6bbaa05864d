// Package test implements the service internal.aux.testdata.v1.Test: an RPC a file.
package test

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.TestServer.
type Service struct {
	context.UnimplementedTestServer // answers the RPCs that have no file
}

// New makes the service.
func New() *Service {
	return &Service{}
}
