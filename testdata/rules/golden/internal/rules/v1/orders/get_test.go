package orders

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// TestGet expects Unimplemented until Get is implemented.
func TestGet(t *testing.T) {
	client, _ := serve(t)
	_, err := client.Get(t.Context(), servertest.Sample[*rulesv1.AllRules]())
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
