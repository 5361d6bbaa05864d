// Package service implements the service internal.aux.testdata.v1.Service: an RPC a file.
package service

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.ServiceServer.
type Service struct {
	context.UnimplementedServiceServer // answers the RPCs that have no file
}

// New makes the service.
func New() *Service {
	return &Service{}
}
