package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestConsumeRPC sends the request in testdata/consume_rpc.json. The service
// may refuse it, with a code that shows the caller what to do.
func TestConsumeRPC(t *testing.T) {
	client := serve(t)
	reply, err := client.Consume(t.Context(), servertest.Request[*context.Err](t, "testdata/consume_rpc.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Consume is not implemented yet: write it in consume_rpc.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkConsumeRPC(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/consume_rpc.json")
	for b.Loop() {
		if _, err := client.Consume(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/consume_rpc.json is refused
		}
	}
}
