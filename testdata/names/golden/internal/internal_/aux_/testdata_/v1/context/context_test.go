package context

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	context2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestContext sends the request in testdata/context.json. The service may
// refuse it, with a code that shows the caller what to do.
func TestContext(t *testing.T) {
	client := serve(t)
	reply, err := client.Context(t.Context(), servertest.Request[*context2.Err](t, "testdata/context.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Context is not implemented yet: write it in context.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkContext(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context2.Err](b, "testdata/context.json")
	for b.Loop() {
		if _, err := client.Context(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/context.json is refused
		}
	}
}
