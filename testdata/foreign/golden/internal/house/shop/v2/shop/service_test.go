package shop

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	shopv2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2/shopv2events"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2/shopv2server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2/shopv2test"
)

// newService makes the service for every test, as main does.
func newService(_ testing.TB, events *shopv2events.Log) *Service {
	return New(events)
}

// serve runs the service with a new log, and returns a client of it and the log.
func serve(t testing.TB) (shopv2.ShopClient, *shopv2events.Log) {
	events := shopv2events.New(servertest.Log(t))
	return shopv2test.Serve(t, shopv2server.Shop(newService(t, events))).Shop(), events
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	shopv2test.ShopContract{
		NewService: func(t testing.TB, events *shopv2events.Log) shopv2.ShopServer {
			return newService(t, events)
		},
	}.Test(t)
}
