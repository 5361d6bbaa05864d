package clickstreamservice

import (
	"testing"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/internal/receiver-runtime/eventid"
	"example.com/clickstream/internal/receiver-runtime/servertest"
)

// TestPublish sends the request in testdata/publish.json and checks the reply.
// TestContract checks that events are stored exactly once.
func TestPublish(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Request[*clickstreamv1.PublishRequest](t, "testdata/publish.json", "clickstream.v1.ClickEvent.event_id")
	ctx := eventid.WithID(t.Context(), eventid.New())
	reply, err := client.Publish(ctx, request)
	if err != nil {
		t.Fatalf("testdata/publish.json is refused: %v", err)
	}
	if got := reply.GetPosition(); got != 1 {
		t.Errorf("position is %d, want that of the first event, 1", got)
	}
	again, err := client.Publish(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	if first, second := reply.GetDuplicate(), again.GetDuplicate(); first || !second {
		t.Errorf("duplicate is %t for the first try and %t for the second, want false and true", first, second)
	}
}

// FuzzPublish sends requests as no client would: each is refused with a code
// that shows the caller what to do, or its events are stored.
func FuzzPublish(f *testing.F) {
	sample := servertest.Request[*clickstreamv1.PublishRequest](f, "testdata/publish.json", "clickstream.v1.ClickEvent.event_id")
	servertest.Fuzz(f, sample, func(t *testing.T, request *clickstreamv1.PublishRequest) {
		client, events := serve(t)
		if _, err := client.Publish(t.Context(), request); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayClickEvent, request.GetEvent())
		}
	})
}

// BenchmarkPublish has many callers: events that arrive together share one
// commit.
func BenchmarkPublish(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*clickstreamv1.PublishRequest](b, "testdata/publish.json", "clickstream.v1.ClickEvent.event_id")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.Publish(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
