package orders

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1events"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1test"
)

// newService makes the service for every test, as main does.
func newService(_ testing.TB, events *rulesv1events.Log) *Service {
	return New(events)
}

// serve runs the service with a new log, and returns a client of it and the log.
func serve(t testing.TB) (rulesv1.OrdersClient, *rulesv1events.Log) {
	events := rulesv1events.New(servertest.Log(t))
	return rulesv1test.Serve(t, rulesv1server.Orders(newService(t, events))).Orders(), events
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	rulesv1test.OrdersContract{
		NewService: func(t testing.TB, events *rulesv1events.Log) rulesv1.OrdersServer {
			return newService(t, events)
		},
	}.Test(t)
}
