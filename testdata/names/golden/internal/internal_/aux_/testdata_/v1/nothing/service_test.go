package nothing

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contextserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contexttest"
)

// newService builds the service for every test, as main does.
func newService(testing.TB) context.NothingServer {
	return New()
}

// serve runs the service and returns a client of it.
func serve(t testing.TB) context.NothingClient {
	return contexttest.Serve(t, contextserver.Nothing(newService(t))).Nothing()
}

func TestContract(t *testing.T) {
	contexttest.NothingContract{NewService: newService}.Test(t)
}
