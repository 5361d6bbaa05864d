package orders

import (
	"testing"

	shopv1 "example.com/shop/gen/shop/v1"
	"example.com/shop/gen/shop/v1/shopv1events"
	"example.com/shop/gen/shop/v1/shopv1server"
	"example.com/shop/gen/shop/v1/shopv1test"
	"example.com/shop/internal/receiver-runtime/servertest"
)

// newService makes the service for every test, as main does.
func newService(_ testing.TB, events *shopv1events.Log) *Service {
	return New(events)
}

// serve runs the service with a new log, and returns a client of it and the log.
func serve(t testing.TB) (shopv1.OrdersClient, *shopv1events.Log) {
	events := shopv1events.New(servertest.Log(t))
	return shopv1test.Serve(t, shopv1server.Orders(newService(t, events))).Orders(), events
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	shopv1test.OrdersContract{
		NewService: func(t testing.TB, events *shopv1events.Log) shopv1.OrdersServer {
			return newService(t, events)
		},
	}.Test(t)
}
