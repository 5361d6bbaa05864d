package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// TestFollowLists checks what is replayed. TestContract checks that new events are sent, too.
func TestFollowLists(t *testing.T) {
	client, events := serve(t)
	event := servertest.Sample[*repliespb.SaleEvent]()
	if _, err := events.AppendSaleEvent(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	stream, err := client.FollowLists(t.Context(), new(repliespb.FollowRequest))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if got := reply.GetEvents()[0]; !proto.Equal(got, event) {
		t.Errorf("the first event is %v, want %v", got, event)
	}
	if got := reply.GetPosition(); got != 1 {
		t.Errorf("position is %d, want that of the first event, 1", got)
	}
}
