package movementservice

import (
	"path/filepath"
	"testing"

	inventoryv1 "example.com/inventory/gen/inventory/v1"
	"example.com/inventory/gen/inventory/v1/inventoryv1events"
	"example.com/inventory/gen/inventory/v1/inventoryv1server"
	"example.com/inventory/gen/inventory/v1/inventoryv1test"
	"example.com/inventory/internal/inventory"
	"example.com/inventory/internal/receiver-runtime/servertest"
)

// newService makes the service for every test, as main does.
func newService(t testing.TB, events *inventoryv1events.Log) *Service {
	store, err := inventory.Open(t.Context(), filepath.Join(t.TempDir(), "inventory.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return New(events, store)
}

// serve runs the service with a new log, and returns a client of it and the log.
func serve(t testing.TB) (inventoryv1.MovementServiceClient, *inventoryv1events.Log) {
	events := inventoryv1events.New(servertest.Log(t))
	return inventoryv1test.Serve(t, inventoryv1server.MovementService(newService(t, events))).MovementService(), events
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	inventoryv1test.MovementServiceContract{
		NewService: func(t testing.TB, events *inventoryv1events.Log) inventoryv1.MovementServiceServer {
			return newService(t, events)
		},
	}.Test(t)
}
