package orders

import (
	"testing"

	shopv1 "example.com/shop/gen/shop/v1"
	"example.com/shop/internal/receiver-runtime/servertest"
)

// TestReportAll sends the request in testdata/report_all.json three times and
// checks the reply. TestContract checks that events are stored exactly once.
func TestReportAll(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.ReportAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := stream.Send(servertest.Request[*shopv1.OrderEvent](t, "testdata/report_all.json", "shop.v1.OrderEvent.event_id")); err != nil {
			break // the reply says why
		}
	}
	_, err = stream.CloseAndRecv()
	if err != nil {
		t.Fatalf("testdata/report_all.json is refused: %v", err)
	}
}

// BenchmarkReportAll has many callers: events that arrive together share one
// commit.
func BenchmarkReportAll(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*shopv1.OrderEvent](b, "testdata/report_all.json", "shop.v1.OrderEvent.event_id")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			stream, err := client.ReportAll(b.Context())
			if err == nil {
				err = servertest.Upload(stream, requests())
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}
