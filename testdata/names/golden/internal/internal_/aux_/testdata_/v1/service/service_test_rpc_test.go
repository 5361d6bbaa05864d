package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestServiceTest sends the request in testdata/service_test_rpc.json. The
// service may refuse it, with a code that shows the caller what to do.
func TestServiceTest(t *testing.T) {
	client := serve(t)
	reply, err := client.ServiceTest(t.Context(), servertest.Request[*context.Err](t, "testdata/service_test_rpc.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("ServiceTest is not implemented yet: write it in service_test_rpc.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkServiceTest(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/service_test_rpc.json")
	for b.Loop() {
		if _, err := client.ServiceTest(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/service_test_rpc.json is refused
		}
	}
}
