package orders

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/gen/shop/v1"
)

// TestTake sends the request in testdata/take.json and checks the reply.
// TestContract checks that events are stored exactly once.
func TestTake(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Request[*shopv1.OrderEvent](t, "testdata/take.json", "shop.v1.OrderEvent.event_id")
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
	sample := servertest.Request[*shopv1.OrderEvent](f, "testdata/take.json", "shop.v1.OrderEvent.event_id")
	servertest.Fuzz(f, sample, func(t *testing.T, event *shopv1.OrderEvent) {
		client, events := serve(t)
		if _, err := client.Take(t.Context(), event); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayOrderEvent, event)
		}
	})
}

// BenchmarkTake has many callers: events that arrive together share one commit.
func BenchmarkTake(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*shopv1.OrderEvent](b, "testdata/take.json", "shop.v1.OrderEvent.event_id")
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
