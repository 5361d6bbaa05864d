package orderintake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/orders/golden/gen/shop/v1/shopv1test"
)

// That an event is stored, and once, is tested by the contract; what is
// answered is for you to say here.
func TestTakeOrder(t *testing.T) {
	client, _ := serve(t)
	event := shopv1test.NewOrderEvent()
	_, err := client.TakeOrder(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
}
