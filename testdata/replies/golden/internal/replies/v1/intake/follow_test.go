package intake

import (
	"context"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// TestFollow sends the request in testdata/follow.json, and checks what is
// replayed. TestContract checks that new events are sent, too.
func TestFollow(t *testing.T) {
	client, events := serve(t)
	event := servertest.Sample[*repliespb.SaleEvent]()
	if _, err := events.AppendSaleEvent(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	stream, err := client.Follow(t.Context(), servertest.LeastRequest[*repliespb.FollowRequest](t, "testdata/follow.json"))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if got := reply.GetEvent(); !proto.Equal(got, event) {
		t.Errorf("the first event is %v, want %v", got, event)
	}
	if got := reply.GetPosition(); got != 1 {
		t.Errorf("position is %d, want that of the first event, 1", got)
	}
}

// BenchmarkFollow replays a thousand events at each call.
func BenchmarkFollow(b *testing.B) {
	client, events := serve(b)
	stored := make([]*repliespb.SaleEvent, 1000)
	for i := range stored {
		stored[i] = servertest.Sample[*repliespb.SaleEvent]()
	}
	if _, err := events.AppendSaleEvent(b.Context(), stored...); err != nil {
		b.Fatal(err)
	}
	request := servertest.LeastRequest[*repliespb.FollowRequest](b, "testdata/follow.json")
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
