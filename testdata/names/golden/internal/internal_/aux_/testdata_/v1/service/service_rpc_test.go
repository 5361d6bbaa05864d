package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestService sends the request in testdata/service_rpc.json. The service may
// refuse it, with a code that shows the caller what to do.
func TestService(t *testing.T) {
	client := serve(t)
	reply, err := client.Service(t.Context(), servertest.Request[*context.Err](t, "testdata/service_rpc.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Service is not implemented yet: write it in service_rpc.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkService(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/service_rpc.json")
	for b.Loop() {
		if _, err := client.Service(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/service_rpc.json is refused
		}
	}
}
