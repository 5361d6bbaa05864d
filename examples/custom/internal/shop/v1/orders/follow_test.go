package orders

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	shopv1 "example.com/shop/gen/shop/v1"
	"example.com/shop/internal/receiver-runtime/servertest"
)

// TestFollow sends the request in testdata/follow.json, and checks what is
// replayed. TestContract checks that new events are sent, too.
func TestFollow(t *testing.T) {
	client, events := serve(t)
	event := servertest.Sample[*shopv1.OrderEvent]("shop.v1.OrderEvent.event_id")
	if _, err := events.AppendOrderEvent(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	stream, err := client.Follow(t.Context(), servertest.LeastRequest[*shopv1.FollowRequest](t, "testdata/follow.json"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := stream.Recv()
	if err != nil || !proto.Equal(got, event) {
		t.Errorf("the first event is %v (error %v), want %v", got, err, event)
	}
}

// BenchmarkFollow replays a thousand events at each call.
func BenchmarkFollow(b *testing.B) {
	client, events := serve(b)
	stored := make([]*shopv1.OrderEvent, 1000)
	for i := range stored {
		stored[i] = servertest.Sample[*shopv1.OrderEvent]("shop.v1.OrderEvent.event_id")
	}
	if _, err := events.AppendOrderEvent(b.Context(), stored...); err != nil {
		b.Fatal(err)
	}
	request := servertest.LeastRequest[*shopv1.FollowRequest](b, "testdata/follow.json")
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		stream, err := client.Follow(ctx, request)
		if err != nil {
			b.Fatal(err)
		}
		for got := 0; got < len(stored); {
			_, err := stream.Recv()
			if err != nil {
				b.Fatal(err)
			}
			got++
		}
		cancel()
	}
}
