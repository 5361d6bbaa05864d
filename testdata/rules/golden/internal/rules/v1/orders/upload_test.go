package orders

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// TestUpload checks the reply. TestContract checks that events are stored exactly once.
func TestUpload(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.Upload(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := stream.Send(servertest.Sample[*rulesv1.OrderEvent]("rules.v1.OrderEvent.event_id")); err != nil {
			t.Fatal(err)
		}
	}
	reply, err := stream.CloseAndRecv()
	if err != nil {
		t.Fatal(err)
	}
	if got := reply.GetPosition(); got != 3 {
		t.Errorf("position is %d, want that of the last event", got)
	}
}
