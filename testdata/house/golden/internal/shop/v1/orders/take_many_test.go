package orders

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/gen/shop/v1"
)

// TestTakeMany sends the request in testdata/take_many.json and checks the
// reply. TestContract checks that events are stored exactly once.
func TestTakeMany(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Request[*shopv1.TakeManyRequest](t, "testdata/take_many.json", "shop.v1.OrderEvent.event_id")
	_, err := client.TakeMany(t.Context(), request)
	if err != nil {
		t.Fatalf("testdata/take_many.json is refused: %v", err)
	}
}

// FuzzTakeMany sends requests as no client would: each is refused with a code
// that shows the caller what to do, or its events are stored.
func FuzzTakeMany(f *testing.F) {
	sample := servertest.Request[*shopv1.TakeManyRequest](f, "testdata/take_many.json", "shop.v1.OrderEvent.event_id")
	servertest.Fuzz(f, sample, func(t *testing.T, request *shopv1.TakeManyRequest) {
		client, events := serve(t)
		if _, err := client.TakeMany(t.Context(), request); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayOrderEvent, request.GetEvents()...)
		}
	})
}

// BenchmarkTakeMany has many callers: events that arrive together share one
// commit.
func BenchmarkTakeMany(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*shopv1.TakeManyRequest](b, "testdata/take_many.json", "shop.v1.OrderEvent.event_id")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.TakeMany(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
