package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestTest sends the request in testdata/test.json. The service may refuse it,
// with a code that shows the caller what to do.
func TestTest(t *testing.T) {
	client := serve(t)
	reply, err := client.Test(t.Context(), servertest.Request[*context.Err](t, "testdata/test.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Test is not implemented yet: write it in test.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkTest(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/test.json")
	for b.Loop() {
		if _, err := client.Test(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/test.json is refused
		}
	}
}
