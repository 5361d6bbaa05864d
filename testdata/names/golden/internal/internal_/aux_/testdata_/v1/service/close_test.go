package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestClose sends the request in testdata/close.json. The service may refuse
// it, with a code that shows the caller what to do.
func TestClose(t *testing.T) {
	client := serve(t)
	reply, err := client.Close(t.Context(), servertest.Request[*context.Err](t, "testdata/close.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Close is not implemented yet: write it in close.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkClose(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/close.json")
	for b.Loop() {
		if _, err := client.Close(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/close.json is refused
		}
	}
}
