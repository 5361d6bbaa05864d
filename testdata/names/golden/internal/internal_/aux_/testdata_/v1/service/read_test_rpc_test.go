package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestReadTest sends the request in testdata/read_test_rpc.json. The service
// may refuse it, with a code that shows the caller what to do.
func TestReadTest(t *testing.T) {
	client := serve(t)
	reply, err := client.ReadTest(t.Context(), servertest.Request[*context.Err](t, "testdata/read_test_rpc.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("ReadTest is not implemented yet: write it in read_test_rpc.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkReadTest(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/read_test_rpc.json")
	for b.Loop() {
		if _, err := client.ReadTest(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/read_test_rpc.json is refused
		}
	}
}
