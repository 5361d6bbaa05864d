package parcelservice

import (
	"testing"

	"google.golang.org/protobuf/proto"

	parcelsv1 "example.com/hooked/gen/parcels/v1"
	"example.com/hooked/internal/receiver-runtime/servertest"
)

// TestFollow checks what is replayed. TestContract checks that new events are sent, too.
func TestFollow(t *testing.T) {
	client, events := serve(t)
	event := servertest.Sample[*parcelsv1.ScanEvent]("parcels.v1.ScanEvent.event_id")
	if _, err := events.AppendScanEvent(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	stream, err := client.Follow(t.Context(), new(parcelsv1.FollowRequest))
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
