package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestXUnder sends the request in testdata/x_under.json. The service may refuse
// it, with a code that shows the caller what to do.
func TestXUnder(t *testing.T) {
	client := serve(t)
	reply, err := client.XUnder(t.Context(), servertest.Request[*context.Err](t, "testdata/x_under.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("XUnder is not implemented yet: write it in x_under.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkXUnder(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/x_under.json")
	for b.Loop() {
		if _, err := client.XUnder(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/x_under.json is refused
		}
	}
}
