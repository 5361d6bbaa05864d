package meter

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb"
)

// TestReset expects Unimplemented until Reset is implemented.
func TestReset(t *testing.T) {
	client, _ := serve(t)
	_, err := client.Reset(t.Context(), servertest.Sample[*commentspb.ResetEvent]())
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
