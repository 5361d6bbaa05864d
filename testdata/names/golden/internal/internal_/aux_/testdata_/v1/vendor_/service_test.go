package vendor_

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contextserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contexttest"
)

// newService builds the service for every test, as main does.
func newService(testing.TB) context.VendorServer {
	return New()
}

// serve runs the service and returns a client of it.
func serve(t testing.TB) context.VendorClient {
	return contexttest.Serve(t, contextserver.Vendor(newService(t))).Vendor()
}

func TestContract(t *testing.T) {
	contexttest.VendorContract{NewService: newService}.Test(t)
}
