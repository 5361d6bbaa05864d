package server

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contextevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contextserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contexttest"
)

// newService builds the service for every test, as main does, on the given log.
func newService(_ testing.TB, events *contextevents.Log) context.ServerServer {
	return New(events)
}

// serve runs the service on a log of its own, and returns a client of it and the log.
func serve(t testing.TB) (context.ServerClient, *contextevents.Log) {
	events := contextevents.New(servertest.Log(t))
	return contexttest.Serve(t, contextserver.Server(newService(t, events))).Server(), events
}

func TestContract(t *testing.T) {
	contexttest.ServerContract{NewService: newService}.Test(t)
}
