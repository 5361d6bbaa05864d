// Package receiver implements the service Receiver: an RPC a file.
package receiver

import (
	"example.com/receiver/gen/receiverpb"
	"example.com/receiver/gen/receiverpb/receiverevents"
)

// Service implements receiverpb.ReceiverServer.
//
// Receives the events that applications report.
type Service struct {
	receiverpb.UnimplementedReceiverServer // answers the RPCs that have no file

	events *receiverevents.Log
}

// New makes the service. Events go to the given log.
func New(events *receiverevents.Log) *Service {
	return &Service{events: events}
}
