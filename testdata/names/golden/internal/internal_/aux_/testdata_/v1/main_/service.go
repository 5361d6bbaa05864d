// Package main_ implements the service internal.aux.testdata.v1.Main, one file per RPC.
package main_

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.MainServer.
type Service struct {
	context.UnimplementedMainServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}
