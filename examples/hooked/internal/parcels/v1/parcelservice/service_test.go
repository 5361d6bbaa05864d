package parcelservice

import (
	"testing"

	parcelsv1 "example.com/hooked/gen/parcels/v1"
	"example.com/hooked/gen/parcels/v1/parcelsv1events"
	"example.com/hooked/gen/parcels/v1/parcelsv1server"
	"example.com/hooked/gen/parcels/v1/parcelsv1test"
	"example.com/hooked/internal/receiver-runtime/servertest"
)

// newService makes the service for every test, as main does.
func newService(_ testing.TB, events *parcelsv1events.Log) *Service {
	return New(events)
}

// serve runs the service with a new log, and returns a client of it and the log.
func serve(t testing.TB) (parcelsv1.ParcelServiceClient, *parcelsv1events.Log) {
	events := parcelsv1events.New(servertest.Log(t))
	return parcelsv1test.Serve(t, parcelsv1server.ParcelService(newService(t, events))).ParcelService(), events
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	parcelsv1test.ParcelServiceContract{
		NewService: func(t testing.TB, events *parcelsv1events.Log) parcelsv1.ParcelServiceServer {
			return newService(t, events)
		},
	}.Test(t)
}
