package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestContractRPC sends the request in testdata/contract.json. The service may
// refuse it, with a code that shows the caller what to do.
func TestContractRPC(t *testing.T) {
	client := serve(t)
	reply, err := client.Contract(t.Context(), servertest.Request[*context.Err](t, "testdata/contract.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Contract is not implemented yet: write it in contract.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkContractRPC(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/contract.json")
	for b.Loop() {
		if _, err := client.Contract(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/contract.json is refused
		}
	}
}
