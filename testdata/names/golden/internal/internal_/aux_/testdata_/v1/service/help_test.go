package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestHelp sends the request in testdata/help.json. The service may refuse it,
// with a code that shows the caller what to do.
func TestHelp(t *testing.T) {
	client := serve(t)
	reply, err := client.Help(t.Context(), servertest.Request[*context.Err](t, "testdata/help.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Help is not implemented yet: write it in help.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkHelp(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/help.json")
	for b.Loop() {
		if _, err := client.Help(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/help.json is refused
		}
	}
}
