package meter

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb"
)

// TestMeasure sends the request in testdata/measure.json and checks the reply.
// TestContract checks that events are stored exactly once.
func TestMeasure(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Request[*commentspb.Measurement](t, "testdata/measure.json", "comments.Measurement.number")
	_, err := client.Measure(t.Context(), event)
	if err != nil {
		t.Fatalf("testdata/measure.json is refused: %v", err)
	}
}

// FuzzMeasure sends requests as no client would: each is refused with a code
// that shows the caller what to do, or its events are stored.
func FuzzMeasure(f *testing.F) {
	sample := servertest.Request[*commentspb.Measurement](f, "testdata/measure.json", "comments.Measurement.number")
	servertest.Fuzz(f, sample, func(t *testing.T, event *commentspb.Measurement) {
		client, events := serve(t)
		if _, err := client.Measure(t.Context(), event); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayMeasurement, event)
		}
	})
}

// BenchmarkMeasure has many callers: events that arrive together share one
// commit.
func BenchmarkMeasure(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*commentspb.Measurement](b, "testdata/measure.json", "comments.Measurement.number")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.Measure(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
