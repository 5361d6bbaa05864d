package server

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contextevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contextserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contexttest"
)

// newService makes the service for every test, as main does.
func newService(_ testing.TB, events *contextevents.Log) *Service {
	return New(events)
}

// serve runs the service with a new log, and returns a client of it and the log.
func serve(t testing.TB) (context.ServerClient, *contextevents.Log) {
	events := contextevents.New(servertest.Log(t))
	return contexttest.Serve(t, contextserver.Server(newService(t, events))).Server(), events
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	contexttest.ServerContract{
		NewService: func(t testing.TB, events *contextevents.Log) context.ServerServer {
			return newService(t, events)
		},
	}.Test(t)
}
