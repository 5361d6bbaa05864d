package orderintake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/orders/golden/gen/shop/v1"
)

// TestTakeOrder sends the request in testdata/take_order.json and checks the
// reply. TestContract checks that events are stored exactly once.
func TestTakeOrder(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Request[*shopv1.OrderEvent](t, "testdata/take_order.json", "shop.v1.OrderEvent.event_id")
	_, err := client.TakeOrder(t.Context(), event)
	if err != nil {
		t.Fatalf("testdata/take_order.json is refused: %v", err)
	}
}

// FuzzTakeOrder sends requests as no client would: each is refused with a code
// that shows the caller what to do, or its events are stored.
func FuzzTakeOrder(f *testing.F) {
	sample := servertest.Request[*shopv1.OrderEvent](f, "testdata/take_order.json", "shop.v1.OrderEvent.event_id")
	servertest.Fuzz(f, sample, func(t *testing.T, event *shopv1.OrderEvent) {
		client, events := serve(t)
		if _, err := client.TakeOrder(t.Context(), event); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayOrderEvent, event)
		}
	})
}

// BenchmarkTakeOrder has many callers: events that arrive together share one
// commit.
func BenchmarkTakeOrder(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*shopv1.OrderEvent](b, "testdata/take_order.json", "shop.v1.OrderEvent.event_id")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.TakeOrder(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
