package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestString sends the request in testdata/string.json. The service may refuse
// it, with a code that shows the caller what to do.
func TestString(t *testing.T) {
	client := serve(t)
	reply, err := client.String(t.Context(), servertest.Request[*context.Err](t, "testdata/string.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("String is not implemented yet: write it in string.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkString(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/string.json")
	for b.Loop() {
		if _, err := client.String(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/string.json is refused
		}
	}
}
