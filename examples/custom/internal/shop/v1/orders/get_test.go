package orders

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	shopv1 "example.com/shop/gen/shop/v1"
	"example.com/shop/internal/receiver-runtime/servertest"
)

// TestGet expects Unimplemented until Get is implemented.
func TestGet(t *testing.T) {
	client, _ := serve(t)
	_, err := client.Get(t.Context(), servertest.Sample[*shopv1.GetRequest]())
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
