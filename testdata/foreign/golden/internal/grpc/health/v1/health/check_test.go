package health

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// TestCheck sends the request in testdata/check.json. The service may refuse
// it, with a code that shows the caller what to do.
func TestCheck(t *testing.T) {
	client := serve(t)
	reply, err := client.Check(t.Context(), servertest.Request[*grpc_health_v1.HealthCheckRequest](t, "testdata/check.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Check is not implemented yet: write it in check.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkCheck(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*grpc_health_v1.HealthCheckRequest](b, "testdata/check.json")
	for b.Loop() {
		if _, err := client.Check(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/check.json is refused
		}
	}
}
