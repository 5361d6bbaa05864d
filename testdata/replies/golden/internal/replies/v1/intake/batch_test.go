package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// TestBatch checks the reply. TestContract checks that events are stored exactly once.
func TestBatch(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Sample[*repliespb.BatchRequest]()
	reply, err := client.Batch(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := int(reply.GetCount()), len(request.GetEvents()); got != want {
		t.Errorf("count is %d, want %d", got, want)
	}
	if got, want := int(reply.GetPosition()), len(request.GetEvents()); got != want {
		t.Errorf("position is %d, want %d", got, want)
	}
}
