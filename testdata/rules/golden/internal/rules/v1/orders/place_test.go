package orders

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// TestPlace sends the request in testdata/place.json and checks the reply.
// TestContract checks that events are stored exactly once.
func TestPlace(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Request[*rulesv1.OrderEvent](t, "testdata/place.json", "rules.v1.OrderEvent.event_id")
	reply, err := client.Place(t.Context(), event)
	if err != nil {
		t.Fatalf("testdata/place.json is refused: %v", err)
	}
	if got, want := reply.GetMessage(), "stored"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
	if got := reply.GetPosition(); got != 1 {
		t.Errorf("position is %d, want that of the first event, 1", got)
	}
}

// FuzzPlace sends requests as no client would: each is refused with a code that
// shows the caller what to do, or its events are stored.
func FuzzPlace(f *testing.F) {
	sample := servertest.Request[*rulesv1.OrderEvent](f, "testdata/place.json", "rules.v1.OrderEvent.event_id")
	servertest.Fuzz(f, sample, func(t *testing.T, event *rulesv1.OrderEvent) {
		client, events := serve(t)
		if _, err := client.Place(t.Context(), event); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayOrderEvent, event)
		}
	})
}

// BenchmarkPlace has many callers: events that arrive together share one
// commit.
func BenchmarkPlace(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*rulesv1.OrderEvent](b, "testdata/place.json", "rules.v1.OrderEvent.event_id")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.Place(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
