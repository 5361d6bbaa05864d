// Package shop implements the service house.shop.v2.Shop, one file per RPC.
package shop

import (
	shopv2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2/shopv2events"
)

// Service implements shopv2.ShopServer.
type Service struct {
	shopv2.UnimplementedShopServer // answers RPCs that have no method here

	events *shopv2events.Log
}

// New returns the service. It stores events in the given log.
func New(events *shopv2events.Log) *Service {
	return &Service{events: events}
}
