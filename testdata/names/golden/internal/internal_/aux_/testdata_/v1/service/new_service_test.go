package service

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestNewService sends the request in testdata/new_service.json. The service
// may refuse it, with a code that shows the caller what to do.
func TestNewService(t *testing.T) {
	client := serve(t)
	reply, err := client.NewService(t.Context(), servertest.Request[*context.Err](t, "testdata/new_service.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("NewService is not implemented yet: write it in new_service.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkNewService(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/new_service.json")
	for b.Loop() {
		if _, err := client.NewService(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/new_service.json is refused
		}
	}
}
