package clickstreamservice

import (
	"testing"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/internal/receiver-runtime/servertest"
)

// TestPublishStream checks the reply. TestContract checks that events are stored exactly once.
func TestPublishStream(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.PublishStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := stream.Send(servertest.Sample[*clickstreamv1.PublishStreamRequest]("clickstream.v1.ClickEvent.event_id")); err != nil {
			t.Fatal(err)
		}
	}
	reply, err := stream.CloseAndRecv()
	if err != nil {
		t.Fatal(err)
	}
	if got := reply.GetCount(); got != 3 {
		t.Errorf("count is %d, want 3", got)
	}
}
