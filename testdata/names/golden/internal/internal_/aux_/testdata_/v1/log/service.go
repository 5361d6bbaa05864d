// Package log implements the service internal.aux.testdata.v1.Log, one file per RPC.
package log

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.LogServer.
type Service struct {
	context.UnimplementedLogServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}
