// Package service implements the service internal.aux.testdata.v1.Service, one file per RPC.
package service

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.ServiceServer.
type Service struct {
	context.UnimplementedServiceServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}
