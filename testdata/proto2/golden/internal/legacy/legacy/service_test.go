package legacy

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb/legacyevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb/legacyserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb/legacytest"
)

// newService makes the service for every test, as main does.
func newService(_ testing.TB, events *legacyevents.Log) *Service {
	return New(events)
}

// serve runs the service with a new log, and returns a client of it and the log.
func serve(t testing.TB) (legacypb.LegacyClient, *legacyevents.Log) {
	events := legacyevents.New(servertest.Log(t))
	return legacytest.Serve(t, legacyserver.Legacy(newService(t, events))).Legacy(), events
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	legacytest.LegacyContract{
		NewService: func(t testing.TB, events *legacyevents.Log) legacypb.LegacyServer {
			return newService(t, events)
		},
	}.Test(t)
}
