package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestNew sends the request in testdata/new.json. The service may refuse it,
// with a code that shows the caller what to do.
func TestNew(t *testing.T) {
	client := serve(t)
	reply, err := client.New(t.Context(), servertest.Request[*context.Err](t, "testdata/new.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("New is not implemented yet: write it in new.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkNew(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/new.json")
	for b.Loop() {
		if _, err := client.New(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/new.json is refused
		}
	}
}
