package parcelservice

import (
	"testing"

	parcelsv1 "example.com/hooked/gen/parcels/v1"
	"example.com/hooked/internal/receiver-runtime/eventid"
	"example.com/hooked/internal/receiver-runtime/servertest"
)

// TestReportScan checks the reply. TestContract checks that events are stored exactly once.
func TestReportScan(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Sample[*parcelsv1.ReportScanRequest]("parcels.v1.ScanEvent.event_id")
	ctx := eventid.WithID(t.Context(), eventid.New())
	reply, err := client.ReportScan(ctx, request)
	if err != nil {
		t.Fatal(err)
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
