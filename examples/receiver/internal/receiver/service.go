// Package receiver implements the service Receiver, one file per RPC.
package receiver

import (
	"example.com/receiver/gen/receiverpb"
	"example.com/receiver/gen/receiverpb/receiverevents"
)

// Service implements receiverpb.ReceiverServer.
//
// Receives the events that applications report.
type Service struct {
	receiverpb.UnimplementedReceiverServer // answers RPCs that have no method here

	events *receiverevents.Log
}

// New returns the service. It stores events in the given log.
func New(events *receiverevents.Log) *Service {
	return &Service{events: events}
}
