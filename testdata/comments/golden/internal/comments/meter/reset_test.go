package meter

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb"
)

// TestReset sends the request in testdata/reset.json. The service may refuse
// it, with a code that shows the caller what to do.
func TestReset(t *testing.T) {
	client, _ := serve(t)
	reply, err := client.Reset(t.Context(), servertest.Request[*commentspb.ResetEvent](t, "testdata/reset.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Reset is not implemented yet: write it in reset.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkReset(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*commentspb.ResetEvent](b, "testdata/reset.json")
	for b.Loop() {
		if _, err := client.Reset(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/reset.json is refused
		}
	}
}
