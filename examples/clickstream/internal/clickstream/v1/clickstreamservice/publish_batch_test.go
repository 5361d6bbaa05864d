package clickstreamservice

import (
	"testing"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/internal/receiver-runtime/servertest"
)

// TestPublishBatch checks the reply. TestContract checks that events are stored exactly once.
func TestPublishBatch(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Sample[*clickstreamv1.PublishBatchRequest]("clickstream.v1.ClickEvent.event_id")
	reply, err := client.PublishBatch(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := int(reply.GetCount()), len(request.GetEvents()); got != want {
		t.Errorf("count is %d, want %d", got, want)
	}
}
