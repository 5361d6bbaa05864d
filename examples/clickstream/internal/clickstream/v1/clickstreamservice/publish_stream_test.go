package clickstreamservice

import (
	"testing"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/internal/receiver-runtime/servertest"
)

// TestPublishStream sends the request in testdata/publish_stream.json three
// times and checks the reply. TestContract checks that events are stored
// exactly once.
func TestPublishStream(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.PublishStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := stream.Send(servertest.Request[*clickstreamv1.PublishStreamRequest](t, "testdata/publish_stream.json", "clickstream.v1.ClickEvent.event_id")); err != nil {
			break // the reply says why
		}
	}
	reply, err := stream.CloseAndRecv()
	if err != nil {
		t.Fatalf("testdata/publish_stream.json is refused: %v", err)
	}
	if got := reply.GetCount(); got != 3 {
		t.Errorf("count is %d, want 3", got)
	}
}

// BenchmarkPublishStream has many callers: events that arrive together share
// one commit.
func BenchmarkPublishStream(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*clickstreamv1.PublishStreamRequest](b, "testdata/publish_stream.json", "clickstream.v1.ClickEvent.event_id")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			stream, err := client.PublishStream(b.Context())
			if err == nil {
				err = servertest.Upload(stream, requests())
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}
