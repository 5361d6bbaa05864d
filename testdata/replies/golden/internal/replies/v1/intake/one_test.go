package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// TestOne checks the reply. TestContract checks that events are stored exactly once.
func TestOne(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Sample[*repliespb.SaleEvent]()
	ctx := eventid.WithID(t.Context(), eventid.New())
	reply, err := client.One(ctx, event)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := reply.GetMessage(), "stored"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
	if got := reply.GetPosition(); got != 1 {
		t.Errorf("position is %d, want that of the first event, 1", got)
	}
	if got := reply.GetEventId(); got == "" {
		t.Error("event_id is empty")
	}
	if got := reply.GetRecordedTime(); got == nil {
		t.Error("recorded_time is not set")
	}
	again, err := client.One(ctx, event)
	if err != nil {
		t.Fatal(err)
	}
	if first, second := reply.GetDuplicate(), again.GetDuplicate(); first || !second {
		t.Errorf("duplicate is %t for the first try and %t for the second, want false and true", first, second)
	}
}
