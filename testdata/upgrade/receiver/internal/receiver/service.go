// Package receiver takes the events of our apps.
package receiver

import (
	"sync/atomic"

	"example.com/receiver/gen/receiverpb"
	"example.com/receiver/gen/receiverpb/receiverevents"
)

// Intake is our implementation.
type Intake struct {
	receiverpb.UnimplementedReceiverServer

	store    *receiverevents.Log
	handled  atomic.Int64
	greeting string
}

// New makes the service. Events go to the given log.
func New(events *receiverevents.Log) *Intake {
	return &Intake{store: events, greeting: "Hi"}
}
