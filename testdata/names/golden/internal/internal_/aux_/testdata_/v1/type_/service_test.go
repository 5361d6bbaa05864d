package type_

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contextserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contexttest"
)

// newService builds the service for every test, as main does.
func newService(testing.TB) context.TypeServer {
	return New()
}

// serve runs the service and returns a client of it.
func serve(t testing.TB) context.TypeClient {
	return contexttest.Serve(t, contextserver.Type(newService(t))).Type()
}

func TestContract(t *testing.T) {
	contexttest.TypeContract{NewService: newService}.Test(t)
}
