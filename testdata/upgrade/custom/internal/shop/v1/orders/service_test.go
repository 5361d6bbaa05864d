package orders

import (
	"testing"

	shopv1 "example.com/shop/gen/shop/v1"
	"example.com/shop/gen/shop/v1/shopv1events"
	"example.com/shop/gen/shop/v1/shopv1server"
	"example.com/shop/gen/shop/v1/shopv1test"
	"example.com/shop/internal/receiver-runtime/servertest"
)

// newService builds the service for every test, as main does, on the given log.
func newService(_ testing.TB, events *shopv1events.Log) shopv1.OrdersServer {
	return New(events)
}

// serve runs the service on a log of its own, and returns a client of it and the log.
func serve(t testing.TB) (shopv1.OrdersClient, *shopv1events.Log) {
	events := shopv1events.New(servertest.Log(t))
	return shopv1test.Serve(t, shopv1server.Orders(newService(t, events))).Orders(), events
}

func TestContract(t *testing.T) {
	shopv1test.OrdersContract{NewService: newService}.Test(t)
}
