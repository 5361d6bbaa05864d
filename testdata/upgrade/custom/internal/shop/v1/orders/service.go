// Package orders implements the service shop.v1.Orders: an RPC a file.
package orders

import (
	shopv1 "example.com/shop/gen/shop/v1"
	"example.com/shop/gen/shop/v1/shopv1events"
)

// Service implements shopv1.OrdersServer.
//
// Takes what happens to orders, and tells it to who wants to know.
type Service struct {
	shopv1.UnimplementedOrdersServer // answers the RPCs that have no file

	events *shopv1events.Log
}

// New makes the service. Events go to the given log.
func New(events *shopv1events.Log) *Service {
	return &Service{events: events}
}
