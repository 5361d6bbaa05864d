package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// TestBatchLists sends the request in testdata/batch_lists.json and checks the
// reply. TestContract checks that events are stored exactly once.
func TestBatchLists(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Request[*repliespb.BatchRequest](t, "testdata/batch_lists.json")
	reply, err := client.BatchLists(t.Context(), request)
	if err != nil {
		t.Fatalf("testdata/batch_lists.json is refused: %v", err)
	}
	if got, want := len(reply.GetPositions()), len(request.GetEvents()); got != want {
		t.Errorf("positions has %d elements, want %d", got, want)
	}
}

// FuzzBatchLists sends requests as no client would: each is refused with a code
// that shows the caller what to do, or its events are stored.
func FuzzBatchLists(f *testing.F) {
	sample := servertest.Request[*repliespb.BatchRequest](f, "testdata/batch_lists.json")
	servertest.Fuzz(f, sample, func(t *testing.T, request *repliespb.BatchRequest) {
		client, events := serve(t)
		if _, err := client.BatchLists(t.Context(), request); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplaySaleEvent, request.GetEvents()...)
		}
	})
}

// BenchmarkBatchLists has many callers: events that arrive together share one
// commit.
func BenchmarkBatchLists(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*repliespb.BatchRequest](b, "testdata/batch_lists.json")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.BatchLists(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
