// Package orders implements the service rules.v1.Orders, one file per RPC.
package orders

import (
	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1events"
)

// Service implements rulesv1.OrdersServer.
type Service struct {
	rulesv1.UnimplementedOrdersServer // answers RPCs that have no method here

	events *rulesv1events.Log
}

// New returns the service. It stores events in the given log.
func New(events *rulesv1events.Log) *Service {
	return &Service{events: events}
}
