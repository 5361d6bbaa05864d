package orderintake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/orders/golden/gen/shop/v1"
)

// TestDropHTTPOrder sends the request in testdata/drop_http_order.json. The
// service may refuse it, with a code that shows the caller what to do.
func TestDropHTTPOrder(t *testing.T) {
	client, _ := serve(t)
	reply, err := client.DropHTTPOrder(t.Context(), servertest.Request[*shopv1.GetOrderRequest](t, "testdata/drop_http_order.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("DropHTTPOrder is not implemented yet: write it in drop_http_order.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkDropHTTPOrder(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*shopv1.GetOrderRequest](b, "testdata/drop_http_order.json")
	for b.Loop() {
		if _, err := client.DropHTTPOrder(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/drop_http_order.json is refused
		}
	}
}
