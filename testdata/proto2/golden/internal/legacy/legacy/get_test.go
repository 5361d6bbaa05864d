package legacy

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb"
)

// TestGet expects Unimplemented until Get is implemented.
func TestGet(t *testing.T) {
	client, _ := serve(t)
	_, err := client.Get(t.Context(), servertest.Sample[*legacypb.Receipt]())
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
