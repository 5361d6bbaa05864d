package context

import (
	"testing"

	context2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contextserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contexttest"
)

// newService makes the service for every test, as main does.
func newService(testing.TB) *Service {
	return New()
}

// serve runs the service, and returns a client of it.
func serve(t testing.TB) context2.ContextClient {
	return contexttest.Serve(t, contextserver.Context(newService(t))).Context()
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	contexttest.ContextContract{
		NewService: func(t testing.TB) context2.ContextServer { return newService(t) },
	}.Test(t)
}
