package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestGetUrlX sends the request in testdata/get_url_x.json. The service may
// refuse it, with a code that shows the caller what to do.
func TestGetUrlX(t *testing.T) {
	client := serve(t)
	reply, err := client.GetUrlX(t.Context(), servertest.Request[*context.Err](t, "testdata/get_url_x.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("GetUrlX is not implemented yet: write it in get_url_x.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkGetUrlX(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/get_url_x.json")
	for b.Loop() {
		if _, err := client.GetUrlX(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/get_url_x.json is refused
		}
	}
}
