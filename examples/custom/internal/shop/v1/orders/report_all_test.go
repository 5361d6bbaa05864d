package orders

import (
	"testing"

	shopv1 "example.com/shop/gen/shop/v1"
	"example.com/shop/internal/receiver-runtime/servertest"
)

// TestReportAll checks the reply. TestContract checks that events are stored exactly once.
func TestReportAll(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.ReportAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := stream.Send(servertest.Sample[*shopv1.OrderEvent]("shop.v1.OrderEvent.event_id")); err != nil {
			t.Fatal(err)
		}
	}
	_, err = stream.CloseAndRecv()
	if err != nil {
		t.Fatal(err)
	}
}
