package orders

import (
	"testing"

	"google.golang.org/protobuf/proto"

	shopv1 "example.com/shop/gen/shop/v1"
	"example.com/shop/internal/receiver-runtime/servertest"
)

// TestFollow checks what is replayed. TestContract checks that new events are sent, too.
func TestFollow(t *testing.T) {
	client, events := serve(t)
	event := servertest.Sample[*shopv1.OrderEvent]("shop.v1.OrderEvent.event_id")
	if _, err := events.AppendOrderEvent(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	stream, err := client.Follow(t.Context(), new(shopv1.FollowRequest))
	if err != nil {
		t.Fatal(err)
	}
	got, err := stream.Recv()
	if err != nil || !proto.Equal(got, event) {
		t.Errorf("the first event is %v (error %v), want %v", got, err, event)
	}
}
