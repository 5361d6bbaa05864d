package receiver

import (
	"testing"

	"example.com/receiver/gen/receiverpb"
	"example.com/receiver/gen/receiverpb/receiverevents"
	"example.com/receiver/gen/receiverpb/receiverserver"
	"example.com/receiver/gen/receiverpb/receivertest"
	"example.com/receiver/internal/receiver-runtime/servertest"
)

// newService makes the service for every test, as main does.
func newService(_ testing.TB, events *receiverevents.Log) *Service {
	return New(events)
}

// serve runs the service with a new log, and returns a client of it and the log.
func serve(t testing.TB) (receiverpb.ReceiverClient, *receiverevents.Log) {
	events := receiverevents.New(servertest.Log(t))
	return receivertest.Serve(t, receiverserver.Receiver(newService(t, events))).Receiver(), events
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	receivertest.ReceiverContract{
		NewService: func(t testing.TB, events *receiverevents.Log) receiverpb.ReceiverServer {
			return newService(t, events)
		},
	}.Test(t)
}
