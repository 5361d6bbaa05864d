// Package orders implements the service shop.v1.Orders: an RPC a file.
package orders

import (
	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/gen/shop/v1"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/gen/shop/v1/shopv1events"
)

// Service implements shopv1.OrdersServer.
//
// Takes orders.
type Service struct {
	shopv1.UnimplementedOrdersServer // answers the RPCs that have no file

	events *shopv1events.Log
}

// New makes the service. Events go to the given log.
func New(events *shopv1events.Log) *Service {
	return &Service{events: events}
}
