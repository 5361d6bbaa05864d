package opaque

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb/editionsevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb/editionsserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb/editionstest"
)

// newService makes the service for every test, as main does.
func newService(_ testing.TB, events *editionsevents.Log) *Service {
	return New(events)
}

// serve runs the service with a new log, and returns a client of it and the log.
func serve(t testing.TB) (editionspb.OpaqueClient, *editionsevents.Log) {
	events := editionsevents.New(servertest.Log(t))
	return editionstest.Serve(t, editionsserver.Opaque(newService(t, events))).Opaque(), events
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	editionstest.OpaqueContract{
		NewService: func(t testing.TB, events *editionsevents.Log) editionspb.OpaqueServer {
			return newService(t, events)
		},
	}.Test(t)
}
