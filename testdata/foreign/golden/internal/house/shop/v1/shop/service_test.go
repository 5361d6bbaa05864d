package shop

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v1"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v1/shopv1events"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v1/shopv1server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v1/shopv1test"
)

// newService makes the service for every test, as main does.
func newService(_ testing.TB, events *shopv1events.Log) *Service {
	return New(events)
}

// serve runs the service with a new log, and returns a client of it and the log.
func serve(t testing.TB) (shopv1.ShopClient, *shopv1events.Log) {
	events := shopv1events.New(servertest.Log(t))
	return shopv1test.Serve(t, shopv1server.Shop(newService(t, events))).Shop(), events
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	shopv1test.ShopContract{
		NewService: func(t testing.TB, events *shopv1events.Log) shopv1.ShopServer {
			return newService(t, events)
		},
	}.Test(t)
}
