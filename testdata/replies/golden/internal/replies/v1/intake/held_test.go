package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// TestHeld checks the reply. TestContract checks that events are stored exactly once.
func TestHeld(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Sample[*repliespb.HeldRequest]()
	ctx := eventid.WithID(t.Context(), eventid.New())
	reply, err := client.Held(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := reply.GetMessage(), "stored"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
	if got := reply.GetAccepted(); got != 1 {
		t.Errorf("accepted is %d, want 1", got)
	}
	if got := reply.GetPosition(); got != 1 {
		t.Errorf("position is %d, want that of the first event, 1", got)
	}
	if got := reply.GetEventId(); got == "" {
		t.Error("event_id is empty")
	}
	if got := reply.GetRecordedTimeMs(); got == 0 {
		t.Error("recorded_time_ms is not set")
	}
	again, err := client.Held(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	if first, second := reply.GetDuplicate(), again.GetDuplicate(); first || !second {
		t.Errorf("duplicate is %t for the first try and %t for the second, want false and true", first, second)
	}
}
