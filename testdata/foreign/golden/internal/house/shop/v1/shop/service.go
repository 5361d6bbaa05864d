// Package shop implements the service house.shop.v1.Shop, one file per RPC.
package shop

import (
	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v1"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v1/shopv1events"
)

// Service implements shopv1.ShopServer.
type Service struct {
	shopv1.UnimplementedShopServer // answers RPCs that have no method here

	events *shopv1events.Log
}

// New returns the service. It stores events in the given log.
func New(events *shopv1events.Log) *Service {
	return &Service{events: events}
}
