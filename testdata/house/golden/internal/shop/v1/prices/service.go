// Package prices implements the service shop.v1.Prices, one file per RPC.
package prices

import shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/gen/shop/v1"

// Service implements shopv1.PricesServer.
//
// Has nothing to do with events.
type Service struct {
	shopv1.UnimplementedPricesServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}
