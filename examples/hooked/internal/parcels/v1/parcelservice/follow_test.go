package parcelservice

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	parcelsv1 "example.com/hooked/gen/parcels/v1"
	"example.com/hooked/internal/receiver-runtime/servertest"
)

// TestFollow sends the request in testdata/follow.json, and checks what is
// replayed. TestContract checks that new events are sent, too.
func TestFollow(t *testing.T) {
	client, events := serve(t)
	event := servertest.Sample[*parcelsv1.ScanEvent]("parcels.v1.ScanEvent.event_id")
	if _, err := events.AppendScanEvent(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	stream, err := client.Follow(t.Context(), servertest.LeastRequest[*parcelsv1.FollowRequest](t, "testdata/follow.json"))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if got := reply.GetScan(); !proto.Equal(got, event) {
		t.Errorf("the first event is %v, want %v", got, event)
	}
	if got := reply.GetPosition(); got != 1 {
		t.Errorf("position is %d, want that of the first event, 1", got)
	}
}

// BenchmarkFollow replays a thousand events at each call.
func BenchmarkFollow(b *testing.B) {
	client, events := serve(b)
	stored := make([]*parcelsv1.ScanEvent, 1000)
	for i := range stored {
		stored[i] = servertest.Sample[*parcelsv1.ScanEvent]("parcels.v1.ScanEvent.event_id")
	}
	if _, err := events.AppendScanEvent(b.Context(), stored...); err != nil {
		b.Fatal(err)
	}
	request := servertest.LeastRequest[*parcelsv1.FollowRequest](b, "testdata/follow.json")
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
