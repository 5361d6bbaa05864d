package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// TestHeld sends the request in testdata/held.json and checks the reply.
// TestContract checks that events are stored exactly once.
func TestHeld(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Request[*repliespb.HeldRequest](t, "testdata/held.json")
	ctx := eventid.WithID(t.Context(), eventid.New())
	reply, err := client.Held(ctx, request)
	if err != nil {
		t.Fatalf("testdata/held.json is refused: %v", err)
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

// FuzzHeld sends requests as no client would: each is refused with a code that
// shows the caller what to do, or its events are stored.
func FuzzHeld(f *testing.F) {
	sample := servertest.Request[*repliespb.HeldRequest](f, "testdata/held.json")
	servertest.Fuzz(f, sample, func(t *testing.T, request *repliespb.HeldRequest) {
		client, events := serve(t)
		if _, err := client.Held(t.Context(), request); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplaySaleEvent, request.GetEvent())
		}
	})
}

// BenchmarkHeld has many callers: events that arrive together share one commit.
func BenchmarkHeld(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*repliespb.HeldRequest](b, "testdata/held.json")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.Held(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
