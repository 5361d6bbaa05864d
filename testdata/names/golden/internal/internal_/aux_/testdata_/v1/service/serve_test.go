package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestServe sends the request in testdata/serve.json. The service may refuse
// it, with a code that shows the caller what to do.
func TestServe(t *testing.T) {
	client := serve(t)
	reply, err := client.Serve(t.Context(), servertest.Request[*context.Err](t, "testdata/serve.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Serve is not implemented yet: write it in serve.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkServe(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/serve.json")
	for b.Loop() {
		if _, err := client.Serve(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/serve.json is refused
		}
	}
}
