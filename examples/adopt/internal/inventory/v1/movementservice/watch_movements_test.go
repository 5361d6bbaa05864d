package movementservice

import (
	"testing"

	"google.golang.org/protobuf/proto"

	inventoryv1 "example.com/inventory/gen/inventory/v1"
	"example.com/inventory/internal/receiver-runtime/servertest"
)

// TestWatchMovements checks what is replayed. TestContract checks that new events are sent, too.
func TestWatchMovements(t *testing.T) {
	client, events := serve(t)
	event := servertest.Sample[*inventoryv1.MovementEvent]("inventory.v1.MovementEvent.event_id")
	if _, err := events.AppendMovementEvent(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	stream, err := client.WatchMovements(t.Context(), new(inventoryv1.WatchMovementsRequest))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if got := reply.GetMovement(); !proto.Equal(got, event) {
		t.Errorf("the first event is %v, want %v", got, event)
	}
	if got := reply.GetPosition(); got != 1 {
		t.Errorf("position is %d, want that of the first event, 1", got)
	}
}
