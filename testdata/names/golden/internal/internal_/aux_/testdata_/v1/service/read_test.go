package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestRead sends the request in testdata/read.json. The service may refuse it,
// with a code that shows the caller what to do.
func TestRead(t *testing.T) {
	client := serve(t)
	reply, err := client.Read(t.Context(), servertest.Request[*context.Err](t, "testdata/read.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Read is not implemented yet: write it in read.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkRead(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/read.json")
	for b.Loop() {
		if _, err := client.Read(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/read.json is refused
		}
	}
}
