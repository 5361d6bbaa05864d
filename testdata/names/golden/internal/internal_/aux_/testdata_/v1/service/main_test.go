package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestMainRPC sends the request in testdata/main.json. The service may refuse
// it, with a code that shows the caller what to do.
func TestMainRPC(t *testing.T) {
	client := serve(t)
	reply, err := client.Main(t.Context(), servertest.Request[*context.Err](t, "testdata/main.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Main is not implemented yet: write it in main.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkMainRPC(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/main.json")
	for b.Loop() {
		if _, err := client.Main(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/main.json is refused
		}
	}
}
