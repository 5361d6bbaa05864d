package prices

import (
	"testing"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/gen/shop/v1"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/gen/shop/v1/shopv1server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/gen/shop/v1/shopv1test"
)

// newService makes the service for every test, as main does.
func newService(testing.TB) *Service {
	return New()
}

// serve runs the service, and returns a client of it.
func serve(t testing.TB) shopv1.PricesClient {
	return shopv1test.Serve(t, shopv1server.Prices(newService(t))).Prices()
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	shopv1test.PricesContract{
		NewService: func(t testing.TB) shopv1.PricesServer { return newService(t) },
	}.Test(t)
}
