package other

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestNotHeld expects Unimplemented until NotHeld is implemented.
func TestNotHeld(t *testing.T) {
	client := serve(t)
	_, err := client.NotHeld(t.Context(), servertest.Sample[*kindspb.UpdateRequest]())
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
