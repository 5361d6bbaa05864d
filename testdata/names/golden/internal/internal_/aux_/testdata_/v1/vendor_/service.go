// Package vendor_ implements the service internal.aux.testdata.v1.Vendor: an RPC a file.
package vendor_

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.VendorServer.
type Service struct {
	context.UnimplementedVendorServer // answers the RPCs that have no file
}

// New makes the service.
func New() *Service {
	return &Service{}
}
