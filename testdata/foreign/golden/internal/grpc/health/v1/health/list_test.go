package health

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// TestList expects Unimplemented until List is implemented.
func TestList(t *testing.T) {
	client := serve(t)
	_, err := client.List(t.Context(), servertest.Sample[*grpc_health_v1.HealthListRequest]())
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
