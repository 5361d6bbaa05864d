package orderintake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/orders/golden/gen/shop/v1"
)

// TestGetOrder sends the request in testdata/get_order.json. The service may
// refuse it, with a code that shows the caller what to do.
func TestGetOrder(t *testing.T) {
	client, _ := serve(t)
	reply, err := client.GetOrder(t.Context(), servertest.Request[*shopv1.GetOrderRequest](t, "testdata/get_order.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("GetOrder is not implemented yet: write it in get_order.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkGetOrder(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*shopv1.GetOrderRequest](b, "testdata/get_order.json")
	for b.Loop() {
		if _, err := client.GetOrder(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/get_order.json is refused
		}
	}
}
