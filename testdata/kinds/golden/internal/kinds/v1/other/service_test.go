package other

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindstest"
)

// newService makes the service for every test, as main does.
func newService(testing.TB) *Service {
	return New()
}

// serve runs the service, and returns a client of it.
func serve(t testing.TB) kindspb.OtherClient {
	return kindstest.Serve(t, kindsserver.Other(newService(t))).Other()
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	kindstest.OtherContract{
		NewService: func(t testing.TB) kindspb.OtherServer { return newService(t) },
	}.Test(t)
}
