package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestAux sends the request in testdata/aux_rpc.json. The service may refuse
// it, with a code that shows the caller what to do.
func TestAux(t *testing.T) {
	client := serve(t)
	reply, err := client.Aux(t.Context(), servertest.Request[*context.Err](t, "testdata/aux_rpc.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Aux is not implemented yet: write it in aux_rpc.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkAux(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/aux_rpc.json")
	for b.Loop() {
		if _, err := client.Aux(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/aux_rpc.json is refused
		}
	}
}
