package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestBatch sends the request in testdata/batch.json and checks the reply.
// TestContract checks that events are stored exactly once.
func TestBatch(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Request[*kindspb.BatchRequest](t, "testdata/batch.json")
	reply, err := client.Batch(t.Context(), request)
	if err != nil {
		t.Fatalf("testdata/batch.json is refused: %v", err)
	}
	if got, want := int(reply.GetCount()), len(request.GetEvents()); got != want {
		t.Errorf("count is %d, want %d", got, want)
	}
}

// FuzzBatch sends requests as no client would: each is refused with a code that
// shows the caller what to do, or its events are stored.
func FuzzBatch(f *testing.F) {
	sample := servertest.Request[*kindspb.BatchRequest](f, "testdata/batch.json")
	servertest.Fuzz(f, sample, func(t *testing.T, request *kindspb.BatchRequest) {
		client, events := serve(t)
		if _, err := client.Batch(t.Context(), request); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayClickEvent, request.GetEvents()...)
		}
	})
}

// BenchmarkBatch has many callers: events that arrive together share one
// commit.
func BenchmarkBatch(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*kindspb.BatchRequest](b, "testdata/batch.json")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.Batch(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
