package orders

import (
	"testing"

	shopv1 "example.com/shop/gen/shop/v1"
	"example.com/shop/internal/receiver-runtime/servertest"
)

// TestReport sends the request in testdata/report.json and checks the reply.
// TestContract checks that events are stored exactly once.
func TestReport(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Request[*shopv1.OrderEvent](t, "testdata/report.json", "shop.v1.OrderEvent.event_id")
	reply, err := client.Report(t.Context(), event)
	if err != nil {
		t.Fatalf("testdata/report.json is refused: %v", err)
	}
	if got, want := reply.GetMessage(), "stored"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
}

// FuzzReport sends requests as no client would: each is refused with a code
// that shows the caller what to do, or its events are stored.
func FuzzReport(f *testing.F) {
	sample := servertest.Request[*shopv1.OrderEvent](f, "testdata/report.json", "shop.v1.OrderEvent.event_id")
	servertest.Fuzz(f, sample, func(t *testing.T, event *shopv1.OrderEvent) {
		client, events := serve(t)
		if _, err := client.Report(t.Context(), event); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayOrderEvent, event)
		}
	})
}

// BenchmarkReport has many callers: events that arrive together share one
// commit.
func BenchmarkReport(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*shopv1.OrderEvent](b, "testdata/report.json", "shop.v1.OrderEvent.event_id")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.Report(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
