package orderintake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/orders/golden/gen/shop/v1"
)

// TestTakeOrder checks the reply. TestContract checks that events are stored exactly once.
func TestTakeOrder(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Sample[*shopv1.OrderEvent]("shop.v1.OrderEvent.event_id")
	_, err := client.TakeOrder(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
}
