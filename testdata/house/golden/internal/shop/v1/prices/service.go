// Package prices implements the service shop.v1.Prices: an RPC a file.
package prices

import shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/gen/shop/v1"

// Service implements shopv1.PricesServer.
//
// Has nothing to do with events.
type Service struct {
	shopv1.UnimplementedPricesServer // answers the RPCs that have no file
}

// New makes the service.
func New() *Service {
	return &Service{}
}
