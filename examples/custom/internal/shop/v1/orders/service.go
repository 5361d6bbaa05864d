// Package orders implements the service shop.v1.Orders, one file per RPC.
package orders

import (
	shopv1 "example.com/shop/gen/shop/v1"
	"example.com/shop/gen/shop/v1/shopv1events"
)

// Service implements shopv1.OrdersServer.
//
// Records what happens to orders, and sends it to subscribers.
type Service struct {
	shopv1.UnimplementedOrdersServer // answers RPCs that have no method here

	events *shopv1events.Log
}

// New returns the service. It stores events in the given log.
func New(events *shopv1events.Log) *Service {
	return &Service{events: events}
}
