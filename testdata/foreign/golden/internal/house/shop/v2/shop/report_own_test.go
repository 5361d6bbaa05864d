package shop

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	shopv2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2"
)

// TestReportOwn sends the request in testdata/report_own.json and checks the
// reply. TestContract checks that events are stored exactly once.
func TestReportOwn(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Request[*shopv2.Event](t, "testdata/report_own.json")
	_, err := client.ReportOwn(t.Context(), event)
	if err != nil {
		t.Fatalf("testdata/report_own.json is refused: %v", err)
	}
}

// FuzzReportOwn sends requests as no client would: each is refused with a code
// that shows the caller what to do, or its events are stored.
func FuzzReportOwn(f *testing.F) {
	sample := servertest.Request[*shopv2.Event](f, "testdata/report_own.json")
	servertest.Fuzz(f, sample, func(t *testing.T, event *shopv2.Event) {
		client, events := serve(t)
		if _, err := client.ReportOwn(t.Context(), event); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayEvent, event)
		}
	})
}

// BenchmarkReportOwn has many callers: events that arrive together share one
// commit.
func BenchmarkReportOwn(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*shopv2.Event](b, "testdata/report_own.json")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.ReportOwn(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
