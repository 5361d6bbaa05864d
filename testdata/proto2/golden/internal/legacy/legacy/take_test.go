package legacy

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb"
)

// TestTake expects Unimplemented until Take is implemented.
func TestTake(t *testing.T) {
	client, _ := serve(t)
	_, err := client.Take(t.Context(), servertest.Sample[*legacypb.LegacyEvent]())
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
