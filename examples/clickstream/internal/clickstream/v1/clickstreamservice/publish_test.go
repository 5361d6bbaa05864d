package clickstreamservice

import (
	"testing"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/internal/receiver-runtime/eventid"
	"example.com/clickstream/internal/receiver-runtime/servertest"
)

// TestPublish checks the reply. TestContract checks that events are stored exactly once.
func TestPublish(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Sample[*clickstreamv1.PublishRequest]("clickstream.v1.ClickEvent.event_id")
	ctx := eventid.WithID(t.Context(), eventid.New())
	reply, err := client.Publish(ctx, request)
	if err != nil {
		t.Fatal(err)
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
