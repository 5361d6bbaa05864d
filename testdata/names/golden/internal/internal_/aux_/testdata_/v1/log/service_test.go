package log

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contextserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contexttest"
)

// newService builds the service for every test, as main does.
func newService(testing.TB) context.LogServer {
	return New()
}

// serve runs the service and returns a client of it.
func serve(t testing.TB) context.LogClient {
	return contexttest.Serve(t, contextserver.Log(newService(t))).Log()
}

func TestContract(t *testing.T) {
	contexttest.LogContract{NewService: newService}.Test(t)
}
