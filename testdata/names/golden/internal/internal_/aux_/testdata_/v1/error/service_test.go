package error

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
func serve(t testing.TB) context.ErrorClient {
	return contexttest.Serve(t, contextserver.Error(newService(t))).Error()
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	contexttest.ErrorContract{
		NewService: func(t testing.TB) context.ErrorServer { return newService(t) },
	}.Test(t)
}
