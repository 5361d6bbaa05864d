package receiver

import (
	"testing"

	"example.com/receiver/gen/receiverpb"
	"example.com/receiver/gen/receiverpb/receiverevents"
	"example.com/receiver/gen/receiverpb/receiverserver"
	"example.com/receiver/gen/receiverpb/receivertest"
	"example.com/receiver/internal/receiver-runtime/servertest"
)

// newService builds the service for every test, as main does, on the given log.
func newService(_ testing.TB, events *receiverevents.Log) receiverpb.ReceiverServer {
	return New(events)
}

// serve runs the service on a log of its own, and returns a client of it and the log.
func serve(t testing.TB) (receiverpb.ReceiverClient, *receiverevents.Log) {
	events := receiverevents.New(servertest.Log(t))
	return receivertest.Serve(t, receiverserver.Receiver(newService(t, events))).Receiver(), events
}

func TestContract(t *testing.T) {
	receivertest.ReceiverContract{NewService: newService}.Test(t)
}
