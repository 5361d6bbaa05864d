package type_

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contextserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contexttest"
)

// newService makes the service for every test, as main does.
func newService(testing.TB) *Service {
	return New()
}

// serve runs the service, and returns a client of it.
func serve(t testing.TB) context.TypeClient {
	return contexttest.Serve(t, contextserver.Type(newService(t))).Type()
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	contexttest.TypeContract{
		NewService: func(t testing.TB) context.TypeServer { return newService(t) },
	}.Test(t)
}
