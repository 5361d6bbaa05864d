package opaque

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb"
)

// TestTake sends the request in testdata/take.json and checks the reply.
// TestContract checks that events are stored exactly once.
func TestTake(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Request[*editionspb.PressEvent](t, "testdata/take.json", "editions.PressEvent.event_id")
	reply, err := client.Take(t.Context(), event)
	if err != nil {
		t.Fatalf("testdata/take.json is refused: %v", err)
	}
	if got, want := reply.GetMessage(), "stored"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
}

// FuzzTake sends requests as no client would: each is refused with a code that
// shows the caller what to do, or its events are stored.
func FuzzTake(f *testing.F) {
	sample := servertest.Request[*editionspb.PressEvent](f, "testdata/take.json", "editions.PressEvent.event_id")
	servertest.Fuzz(f, sample, func(t *testing.T, event *editionspb.PressEvent) {
		client, events := serve(t)
		if _, err := client.Take(t.Context(), event); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayPressEvent, event)
		}
	})
}

// BenchmarkTake has many callers: events that arrive together share one commit.
func BenchmarkTake(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*editionspb.PressEvent](b, "testdata/take.json", "editions.PressEvent.event_id")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.Take(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
