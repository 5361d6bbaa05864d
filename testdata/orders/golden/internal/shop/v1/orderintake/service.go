// Package orderintake implements the service shop.v1.OrderIntake: an RPC a file.
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
	shopv1.UnimplementedOrderIntakeServer // answers the RPCs that have no file

	events *shopv1events.Log
}

// New makes the service. Events go to the given log.
func New(events *shopv1events.Log) *Service {
	return &Service{events: events}
}
