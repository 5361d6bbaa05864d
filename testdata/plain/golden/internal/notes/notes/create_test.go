package notes

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/plain/golden/gen/notespb"
)

// TestCreate sends the request in testdata/create.json. The service may refuse
// it, with a code that shows the caller what to do.
func TestCreate(t *testing.T) {
	client := serve(t)
	reply, err := client.Create(t.Context(), servertest.Request[*notespb.Note](t, "testdata/create.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Create is not implemented yet: write it in create.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkCreate(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*notespb.Note](b, "testdata/create.json")
	for b.Loop() {
		if _, err := client.Create(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/create.json is refused
		}
	}
}
