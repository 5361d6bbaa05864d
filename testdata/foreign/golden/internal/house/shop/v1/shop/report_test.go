package shop

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	commonv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/common/v1"
)

// TestReport sends the request in testdata/report.json and checks the reply.
// TestContract checks that events are stored exactly once.
func TestReport(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Request[*commonv1.Event](t, "testdata/report.json")
	_, err := client.Report(t.Context(), event)
	if err != nil {
		t.Fatalf("testdata/report.json is refused: %v", err)
	}
}

// FuzzReport sends requests as no client would: each is refused with a code
// that shows the caller what to do, or its events are stored.
func FuzzReport(f *testing.F) {
	sample := servertest.Request[*commonv1.Event](f, "testdata/report.json")
	servertest.Fuzz(f, sample, func(t *testing.T, event *commonv1.Event) {
		client, events := serve(t)
		if _, err := client.Report(t.Context(), event); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayCommonv1Event, event)
		}
	})
}

// BenchmarkReport has many callers: events that arrive together share one
// commit.
func BenchmarkReport(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*commonv1.Event](b, "testdata/report.json")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.Report(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
