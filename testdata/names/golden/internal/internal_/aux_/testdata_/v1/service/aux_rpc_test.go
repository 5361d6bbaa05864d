package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestAux expects Unimplemented until Aux is implemented.
func TestAux(t *testing.T) {
	client := serve(t)
	_, err := client.Aux(t.Context(), servertest.Sample[*context.Err]())
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
