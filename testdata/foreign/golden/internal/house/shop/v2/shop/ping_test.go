package shop

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// TestPing expects Unimplemented until Ping is implemented.
func TestPing(t *testing.T) {
	client, _ := serve(t)
	_, err := client.Ping(t.Context(), servertest.Sample[*emptypb.Empty]())
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
