package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// TestOne sends the request in testdata/one.json and checks the reply.
// TestContract checks that events are stored exactly once.
func TestOne(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Request[*repliespb.SaleEvent](t, "testdata/one.json")
	ctx := eventid.WithID(t.Context(), eventid.New())
	reply, err := client.One(ctx, event)
	if err != nil {
		t.Fatalf("testdata/one.json is refused: %v", err)
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

// FuzzOne sends requests as no client would: each is refused with a code that
// shows the caller what to do, or its events are stored.
func FuzzOne(f *testing.F) {
	sample := servertest.Request[*repliespb.SaleEvent](f, "testdata/one.json")
	servertest.Fuzz(f, sample, func(t *testing.T, event *repliespb.SaleEvent) {
		client, events := serve(t)
		if _, err := client.One(t.Context(), event); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplaySaleEvent, event)
		}
	})
}

// BenchmarkOne has many callers: events that arrive together share one commit.
func BenchmarkOne(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*repliespb.SaleEvent](b, "testdata/one.json")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.One(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
