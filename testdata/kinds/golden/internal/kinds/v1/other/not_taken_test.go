package other

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestNotTaken sends the request in testdata/not_taken.json. The service may
// refuse it, with a code that shows the caller what to do.
func TestNotTaken(t *testing.T) {
	client := serve(t)
	reply, err := client.NotTaken(t.Context(), servertest.Request[*kindspb.ClickEvent](t, "testdata/not_taken.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("NotTaken is not implemented yet: write it in not_taken.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkNotTaken(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*kindspb.ClickEvent](b, "testdata/not_taken.json")
	for b.Loop() {
		if _, err := client.NotTaken(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/not_taken.json is refused
		}
	}
}
