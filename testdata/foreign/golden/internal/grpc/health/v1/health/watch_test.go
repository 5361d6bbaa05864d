package health

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// TestWatch expects Unimplemented until Watch is implemented.
func TestWatch(t *testing.T) {
	client := serve(t)
	stream, err := client.Watch(t.Context(), servertest.Sample[*grpc_health_v1.HealthCheckRequest]())
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
