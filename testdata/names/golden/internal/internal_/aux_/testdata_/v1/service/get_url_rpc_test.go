package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestGetUrl sends the request in testdata/get_url_rpc.json. The service may
// refuse it, with a code that shows the caller what to do.
func TestGetUrl(t *testing.T) {
	client := serve(t)
	reply, err := client.GetUrl(t.Context(), servertest.Request[*context.Err](t, "testdata/get_url_rpc.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("GetUrl is not implemented yet: write it in get_url_rpc.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkGetUrl(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/get_url_rpc.json")
	for b.Loop() {
		if _, err := client.GetUrl(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/get_url_rpc.json is refused
		}
	}
}
