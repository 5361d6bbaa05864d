package context

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	context2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestContext expects Unimplemented until Context is implemented.
func TestContext(t *testing.T) {
	client := serve(t)
	_, err := client.Context(t.Context(), servertest.Sample[*context2.Err]())
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
