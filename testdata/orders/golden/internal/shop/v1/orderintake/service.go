// Package orderintake implements the service shop.v1.OrderIntake, one file per RPC.
package orderintake

import (
	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/orders/golden/gen/shop/v1"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/orders/golden/gen/shop/v1/shopv1events"
)

// Service implements shopv1.OrderIntakeServer.
//
// Takes what happens to orders, and says what became of them.
//
// It is the service that every shop talks to; this paragraph of its comment is
// one long line, to be wrapped where it is carried over.
type Service struct {
	shopv1.UnimplementedOrderIntakeServer // answers RPCs that have no method here

	events *shopv1events.Log
}

// New returns the service. It stores events in the given log.
func New(events *shopv1events.Log) *Service {
	return &Service{events: events}
}
