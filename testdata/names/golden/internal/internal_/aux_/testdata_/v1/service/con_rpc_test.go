package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestCon sends the request in testdata/con_rpc.json. The service may refuse
// it, with a code that shows the caller what to do.
func TestCon(t *testing.T) {
	client := serve(t)
	reply, err := client.Con(t.Context(), servertest.Request[*context.Err](t, "testdata/con_rpc.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Con is not implemented yet: write it in con_rpc.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkCon(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/con_rpc.json")
	for b.Loop() {
		if _, err := client.Con(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/con_rpc.json is refused
		}
	}
}
