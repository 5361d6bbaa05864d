package clickstreamservice

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/internal/receiver-runtime/servertest"
)

// TestTail sends the request in testdata/tail.json, and checks what is
// replayed. TestContract checks that new events are sent, too.
func TestTail(t *testing.T) {
	client, events := serve(t)
	event := servertest.Sample[*clickstreamv1.ClickEvent]("clickstream.v1.ClickEvent.event_id")
	if _, err := events.AppendClickEvent(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	stream, err := client.Tail(t.Context(), servertest.LeastRequest[*clickstreamv1.TailRequest](t, "testdata/tail.json"))
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

// BenchmarkTail replays a thousand events at each call.
func BenchmarkTail(b *testing.B) {
	client, events := serve(b)
	stored := make([]*clickstreamv1.ClickEvent, 1000)
	for i := range stored {
		stored[i] = servertest.Sample[*clickstreamv1.ClickEvent]("clickstream.v1.ClickEvent.event_id")
	}
	if _, err := events.AppendClickEvent(b.Context(), stored...); err != nil {
		b.Fatal(err)
	}
	request := servertest.LeastRequest[*clickstreamv1.TailRequest](b, "testdata/tail.json")
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		stream, err := client.Tail(ctx, request)
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
