// Package other implements the service kinds.v1.Other, one file per RPC.
package other

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"

// Service implements kindspb.OtherServer.
//
// What takes no events is for the user to write.
type Service struct {
	kindspb.UnimplementedOtherServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}
