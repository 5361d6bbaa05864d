package parcelservice

import (
	"testing"

	parcelsv1 "example.com/hooked/gen/parcels/v1"
	"example.com/hooked/internal/receiver-runtime/eventid"
	"example.com/hooked/internal/receiver-runtime/servertest"
)

// TestReportScan sends the request in testdata/report_scan.json and checks the
// reply. TestContract checks that events are stored exactly once.
func TestReportScan(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Request[*parcelsv1.ReportScanRequest](t, "testdata/report_scan.json", "parcels.v1.ScanEvent.event_id")
	ctx := eventid.WithID(t.Context(), eventid.New())
	reply, err := client.ReportScan(ctx, request)
	if err != nil {
		t.Fatalf("testdata/report_scan.json is refused: %v", err)
	}
	if got := reply.GetPosition(); got != 1 {
		t.Errorf("position is %d, want that of the first event, 1", got)
	}
	again, err := client.ReportScan(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	if first, second := reply.GetDuplicate(), again.GetDuplicate(); first || !second {
		t.Errorf("duplicate is %t for the first try and %t for the second, want false and true", first, second)
	}
}

// FuzzReportScan sends requests as no client would: each is refused with a code
// that shows the caller what to do, or its events are stored.
func FuzzReportScan(f *testing.F) {
	sample := servertest.Request[*parcelsv1.ReportScanRequest](f, "testdata/report_scan.json", "parcels.v1.ScanEvent.event_id")
	servertest.Fuzz(f, sample, func(t *testing.T, request *parcelsv1.ReportScanRequest) {
		client, events := serve(t)
		if _, err := client.ReportScan(t.Context(), request); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayScanEvent, request.GetScan())
		}
	})
}

// BenchmarkReportScan has many callers: events that arrive together share one
// commit.
func BenchmarkReportScan(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*parcelsv1.ReportScanRequest](b, "testdata/report_scan.json", "parcels.v1.ScanEvent.event_id")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.ReportScan(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
