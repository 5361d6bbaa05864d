// Package log implements the service internal.aux.testdata.v1.Log: an RPC a file.
package log

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.LogServer.
type Service struct {
	context.UnimplementedLogServer // answers the RPCs that have no file
}

// New makes the service.
func New() *Service {
	return &Service{}
}
