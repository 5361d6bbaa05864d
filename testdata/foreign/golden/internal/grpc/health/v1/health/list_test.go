package health

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// TestList sends the request in testdata/list.json. The service may refuse it,
// with a code that shows the caller what to do.
func TestList(t *testing.T) {
	client := serve(t)
	reply, err := client.List(t.Context(), servertest.Request[*grpc_health_v1.HealthListRequest](t, "testdata/list.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("List is not implemented yet: write it in list.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkList(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*grpc_health_v1.HealthListRequest](b, "testdata/list.json")
	for b.Loop() {
		if _, err := client.List(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/list.json is refused
		}
	}
}
