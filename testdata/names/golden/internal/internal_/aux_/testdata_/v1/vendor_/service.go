// Package vendor_ implements the service internal.aux.testdata.v1.Vendor, one file per RPC.
package vendor_

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.VendorServer.
type Service struct {
	context.UnimplementedVendorServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}
