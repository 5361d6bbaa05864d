package movementservice

import (
	"testing"

	inventoryv1 "example.com/inventory/gen/inventory/v1"
	"example.com/inventory/internal/receiver-runtime/eventid"
	"example.com/inventory/internal/receiver-runtime/servertest"
)

// TestReportMovement checks the reply. TestContract checks that events are stored exactly once.
func TestReportMovement(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Sample[*inventoryv1.ReportMovementRequest]("inventory.v1.MovementEvent.event_id")
	ctx := eventid.WithID(t.Context(), eventid.New())
	reply, err := client.ReportMovement(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	if got := reply.GetPosition(); got != 1 {
		t.Errorf("position is %d, want that of the first event, 1", got)
	}
	again, err := client.ReportMovement(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	if first, second := reply.GetDuplicate(), again.GetDuplicate(); first || !second {
		t.Errorf("duplicate is %t for the first try and %t for the second, want false and true", first, second)
	}
}
