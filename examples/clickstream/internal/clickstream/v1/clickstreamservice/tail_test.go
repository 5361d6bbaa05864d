package clickstreamservice

import (
	"testing"

	"google.golang.org/protobuf/proto"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/internal/receiver-runtime/servertest"
)

// TestTail checks what is replayed. TestContract checks that new events are sent, too.
func TestTail(t *testing.T) {
	client, events := serve(t)
	event := servertest.Sample[*clickstreamv1.ClickEvent]("clickstream.v1.ClickEvent.event_id")
	if _, err := events.AppendClickEvent(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	stream, err := client.Tail(t.Context(), new(clickstreamv1.TailRequest))
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
