package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestFollow checks what is replayed. TestContract checks that new events are sent, too.
func TestFollow(t *testing.T) {
	client, events := serve(t)
	event := servertest.Sample[*kindspb.ClickEvent]()
	if _, err := events.AppendClickEvent(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	stream, err := client.Follow(t.Context(), new(kindspb.FollowRequest))
	if err != nil {
		t.Fatal(err)
	}
	got, err := stream.Recv()
	if err != nil || !proto.Equal(got, event) {
		t.Errorf("the first event is %v (error %v), want %v", got, err, event)
	}
}
