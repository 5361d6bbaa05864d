package intake

import (
	"context"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestFollowAll sends the request in testdata/follow_all.json, and checks what
// is replayed. TestContract checks that new events are sent, too.
func TestFollowAll(t *testing.T) {
	client, events := serve(t)
	event := servertest.Sample[*kindspb.ClickEvent]()
	if _, err := events.AppendClickEvent(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	stream, err := client.FollowAll(t.Context(), servertest.LeastRequest[*emptypb.Empty](t, "testdata/follow_all.json"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := stream.Recv()
	if err != nil || !proto.Equal(got, event) {
		t.Errorf("the first event is %v (error %v), want %v", got, err, event)
	}
}

// BenchmarkFollowAll replays a thousand events at each call.
func BenchmarkFollowAll(b *testing.B) {
	client, events := serve(b)
	stored := make([]*kindspb.ClickEvent, 1000)
	for i := range stored {
		stored[i] = servertest.Sample[*kindspb.ClickEvent]()
	}
	if _, err := events.AppendClickEvent(b.Context(), stored...); err != nil {
		b.Fatal(err)
	}
	request := servertest.LeastRequest[*emptypb.Empty](b, "testdata/follow_all.json")
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		stream, err := client.FollowAll(ctx, request)
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
