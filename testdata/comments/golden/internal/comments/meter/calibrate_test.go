package meter

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb"
)

// TestCalibrate sends the request in testdata/calibrate.json and checks the
// reply. TestContract checks that events are stored exactly once.
func TestCalibrate(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Request[*commentspb.Calibration](t, "testdata/calibrate.json")
	_, err := client.Calibrate(t.Context(), event)
	if err != nil {
		t.Fatalf("testdata/calibrate.json is refused: %v", err)
	}
}

// FuzzCalibrate sends requests as no client would: each is refused with a code
// that shows the caller what to do, or its events are stored.
func FuzzCalibrate(f *testing.F) {
	sample := servertest.Request[*commentspb.Calibration](f, "testdata/calibrate.json")
	servertest.Fuzz(f, sample, func(t *testing.T, event *commentspb.Calibration) {
		client, events := serve(t)
		if _, err := client.Calibrate(t.Context(), event); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayCalibration, event)
		}
	})
}

// BenchmarkCalibrate has many callers: events that arrive together share one
// commit.
func BenchmarkCalibrate(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*commentspb.Calibration](b, "testdata/calibrate.json")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.Calibrate(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
