package devices

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb"
)

// TestReport sends the request in testdata/report.json and checks the reply.
// TestContract checks that events are stored exactly once.
func TestReport(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Request[*fleetpb.Reading_StateEvent](t, "testdata/report.json")
	reply, err := client.Report(t.Context(), event)
	if err != nil {
		t.Fatalf("testdata/report.json is refused: %v", err)
	}
	if got, want := reply.GetMessage(), "stored"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
}

// FuzzReport sends requests as no client would: each is refused with a code
// that shows the caller what to do, or its events are stored.
func FuzzReport(f *testing.F) {
	sample := servertest.Request[*fleetpb.Reading_StateEvent](f, "testdata/report.json")
	servertest.Fuzz(f, sample, func(t *testing.T, event *fleetpb.Reading_StateEvent) {
		client, events := serve(t)
		if _, err := client.Report(t.Context(), event); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayReading_StateEvent, event)
		}
	})
}

// BenchmarkReport has many callers: events that arrive together share one
// commit.
func BenchmarkReport(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*fleetpb.Reading_StateEvent](b, "testdata/report.json")
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
