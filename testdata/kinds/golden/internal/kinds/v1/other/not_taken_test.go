package other

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestNotTaken expects Unimplemented until NotTaken is implemented.
func TestNotTaken(t *testing.T) {
	client := serve(t)
	_, err := client.NotTaken(t.Context(), servertest.Sample[*kindspb.ClickEvent]())
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
