package intake

import (
	"context"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestFollow sends the request in testdata/follow.json, and checks what is
// replayed. TestContract checks that new events are sent, too.
func TestFollow(t *testing.T) {
	client, events := serve(t)
	event := servertest.Sample[*kindspb.ClickEvent]()
	if _, err := events.AppendClickEvent(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	stream, err := client.Follow(t.Context(), servertest.LeastRequest[*kindspb.FollowRequest](t, "testdata/follow.json"))
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
	stored := make([]*kindspb.ClickEvent, 1000)
	for i := range stored {
		stored[i] = servertest.Sample[*kindspb.ClickEvent]()
	}
	if _, err := events.AppendClickEvent(b.Context(), stored...); err != nil {
		b.Fatal(err)
	}
	request := servertest.LeastRequest[*kindspb.FollowRequest](b, "testdata/follow.json")
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
