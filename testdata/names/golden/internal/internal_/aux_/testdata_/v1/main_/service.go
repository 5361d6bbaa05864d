// Package main_ implements the service internal.aux.testdata.v1.Main: an RPC a file.
package main_

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.MainServer.
type Service struct {
	context.UnimplementedMainServer // answers the RPCs that have no file
}

// New makes the service.
func New() *Service {
	return &Service{}
}
