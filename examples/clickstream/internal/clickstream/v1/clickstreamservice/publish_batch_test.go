package clickstreamservice

import (
	"testing"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/internal/receiver-runtime/servertest"
)

// TestPublishBatch sends the request in testdata/publish_batch.json and checks
// the reply. TestContract checks that events are stored exactly once.
func TestPublishBatch(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Request[*clickstreamv1.PublishBatchRequest](t, "testdata/publish_batch.json", "clickstream.v1.ClickEvent.event_id")
	reply, err := client.PublishBatch(t.Context(), request)
	if err != nil {
		t.Fatalf("testdata/publish_batch.json is refused: %v", err)
	}
	if got, want := int(reply.GetCount()), len(request.GetEvents()); got != want {
		t.Errorf("count is %d, want %d", got, want)
	}
}

// FuzzPublishBatch sends requests as no client would: each is refused with a
// code that shows the caller what to do, or its events are stored.
func FuzzPublishBatch(f *testing.F) {
	sample := servertest.Request[*clickstreamv1.PublishBatchRequest](f, "testdata/publish_batch.json", "clickstream.v1.ClickEvent.event_id")
	servertest.Fuzz(f, sample, func(t *testing.T, request *clickstreamv1.PublishBatchRequest) {
		client, events := serve(t)
		if _, err := client.PublishBatch(t.Context(), request); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayClickEvent, request.GetEvents()...)
		}
	})
}

// BenchmarkPublishBatch has many callers: events that arrive together share one
// commit.
func BenchmarkPublishBatch(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*clickstreamv1.PublishBatchRequest](b, "testdata/publish_batch.json", "clickstream.v1.ClickEvent.event_id")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.PublishBatch(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
