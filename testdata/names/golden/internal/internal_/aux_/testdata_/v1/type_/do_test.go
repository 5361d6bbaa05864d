package type_

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestDo sends the request in testdata/do.json. The service may refuse it, with
// a code that shows the caller what to do.
func TestDo(t *testing.T) {
	client := serve(t)
	reply, err := client.Do(t.Context(), servertest.Request[*context.Err](t, "testdata/do.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Do is not implemented yet: write it in do.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkDo(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*context.Err](b, "testdata/do.json")
	for b.Loop() {
		if _, err := client.Do(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/do.json is refused
		}
	}
}
