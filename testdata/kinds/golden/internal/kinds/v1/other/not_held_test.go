package other

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestNotHeld sends the request in testdata/not_held.json. The service may
// refuse it, with a code that shows the caller what to do.
func TestNotHeld(t *testing.T) {
	client := serve(t)
	reply, err := client.NotHeld(t.Context(), servertest.Request[*kindspb.UpdateRequest](t, "testdata/not_held.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("NotHeld is not implemented yet: write it in not_held.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkNotHeld(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*kindspb.UpdateRequest](b, "testdata/not_held.json")
	for b.Loop() {
		if _, err := client.NotHeld(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/not_held.json is refused
		}
	}
}
