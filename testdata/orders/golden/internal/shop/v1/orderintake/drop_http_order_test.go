package orderintake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/orders/golden/gen/shop/v1"
)

// TestDropHTTPOrder expects Unimplemented until DropHTTPOrder is implemented.
func TestDropHTTPOrder(t *testing.T) {
	client, _ := serve(t)
	_, err := client.DropHTTPOrder(t.Context(), servertest.Sample[*shopv1.GetOrderRequest]())
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
