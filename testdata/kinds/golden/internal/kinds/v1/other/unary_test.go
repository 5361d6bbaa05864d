package other

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestUnary expects Unimplemented until Unary is implemented.
func TestUnary(t *testing.T) {
	client := serve(t)
	_, err := client.Unary(t.Context(), servertest.Sample[*kindspb.Reply]())
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
