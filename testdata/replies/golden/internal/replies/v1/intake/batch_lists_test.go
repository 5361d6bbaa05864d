package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// TestBatchLists checks the reply. TestContract checks that events are stored exactly once.
func TestBatchLists(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Sample[*repliespb.BatchRequest]()
	reply, err := client.BatchLists(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(reply.GetPositions()), len(request.GetEvents()); got != want {
		t.Errorf("positions has %d elements, want %d", got, want)
	}
}
