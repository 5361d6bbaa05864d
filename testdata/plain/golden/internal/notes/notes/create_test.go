package notes

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/plain/golden/gen/notespb"
)

// TestCreate expects Unimplemented until Create is implemented.
func TestCreate(t *testing.T) {
	client := serve(t)
	_, err := client.Create(t.Context(), servertest.Sample[*notespb.Note]())
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
