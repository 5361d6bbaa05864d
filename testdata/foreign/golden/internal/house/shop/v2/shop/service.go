// Package shop implements the service house.shop.v2.Shop: an RPC a file.
package shop

import (
	shopv2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2/shopv2events"
)

// Service implements shopv2.ShopServer.
type Service struct {
	shopv2.UnimplementedShopServer // answers the RPCs that have no file

	events *shopv2events.Log
}

// New makes the service. Events go to the given log.
func New(events *shopv2events.Log) *Service {
	return &Service{events: events}
}
