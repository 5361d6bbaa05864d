package meter

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb"
)

// Reset is not implemented yet, so it must answer Unimplemented.
func TestReset(t *testing.T) {
	client, _ := serve(t)
	_, err := client.Reset(t.Context(), servertest.Sample[*commentspb.ResetEvent]())
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
