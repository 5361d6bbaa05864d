package orders

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/gen/shop/v1"
)

// TestTakeMany checks the reply. TestContract checks that events are stored exactly once.
func TestTakeMany(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Sample[*shopv1.TakeManyRequest]("shop.v1.OrderEvent.event_id")
	_, err := client.TakeMany(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
}
