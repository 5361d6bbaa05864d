package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestReadLinux sends the request in testdata/read_linux_rpc.json. The service
// may refuse it, with a code that shows the caller what to do.
func TestReadLinux(t *testing.T) {
	client := serve(t)
	reply, err := client.ReadLinux(t.Context(), servertest.Request[*context.Err](t, "testdata/read_linux_rpc.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("ReadLinux is not implemented yet: write it in read_linux_rpc.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkReadLinux(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/read_linux_rpc.json")
	for b.Loop() {
		if _, err := client.ReadLinux(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/read_linux_rpc.json is refused
		}
	}
}
