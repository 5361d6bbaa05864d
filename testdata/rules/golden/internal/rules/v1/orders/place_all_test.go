package orders

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// TestPlaceAll sends the request in testdata/place_all.json and checks the
// reply. TestContract checks that events are stored exactly once.
func TestPlaceAll(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Request[*rulesv1.Batch](t, "testdata/place_all.json", "rules.v1.OrderEvent.event_id")
	reply, err := client.PlaceAll(t.Context(), request)
	if err != nil {
		t.Fatalf("testdata/place_all.json is refused: %v", err)
	}
	if got, want := int(reply.GetPosition()), len(request.GetEvents()); got != want {
		t.Errorf("position is %d, want %d", got, want)
	}
}

// FuzzPlaceAll sends requests as no client would: each is refused with a code
// that shows the caller what to do, or its events are stored.
func FuzzPlaceAll(f *testing.F) {
	sample := servertest.Request[*rulesv1.Batch](f, "testdata/place_all.json", "rules.v1.OrderEvent.event_id")
	servertest.Fuzz(f, sample, func(t *testing.T, request *rulesv1.Batch) {
		client, events := serve(t)
		if _, err := client.PlaceAll(t.Context(), request); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayOrderEvent, request.GetEvents()...)
		}
	})
}

// BenchmarkPlaceAll has many callers: events that arrive together share one
// commit.
func BenchmarkPlaceAll(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*rulesv1.Batch](b, "testdata/place_all.json", "rules.v1.OrderEvent.event_id")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.PlaceAll(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
