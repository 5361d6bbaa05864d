package orders

import (
	"testing"

	shopv1 "example.com/shop/gen/shop/v1"
	"example.com/shop/internal/receiver-runtime/servertest"
)

// TestReport checks the reply. TestContract checks that events are stored exactly once.
func TestReport(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Sample[*shopv1.OrderEvent]("shop.v1.OrderEvent.event_id")
	reply, err := client.Report(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := reply.GetMessage(), "stored"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
}
