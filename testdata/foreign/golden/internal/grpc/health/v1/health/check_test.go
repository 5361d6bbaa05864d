package health

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// TestCheck expects Unimplemented until Check is implemented.
func TestCheck(t *testing.T) {
	client := serve(t)
	_, err := client.Check(t.Context(), servertest.Sample[*grpc_health_v1.HealthCheckRequest]())
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
