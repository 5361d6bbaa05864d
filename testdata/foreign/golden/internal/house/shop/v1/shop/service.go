// Package shop implements the service house.shop.v1.Shop: an RPC a file.
package shop

import (
	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v1"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v1/shopv1events"
)

// Service implements shopv1.ShopServer.
type Service struct {
	shopv1.UnimplementedShopServer // answers the RPCs that have no file

	events *shopv1events.Log
}

// New makes the service. Events go to the given log.
func New(events *shopv1events.Log) *Service {
	return &Service{events: events}
}
