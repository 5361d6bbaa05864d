package legacy

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb"
)

// TestTake sends the request in testdata/take.json. The service may refuse it,
// with a code that shows the caller what to do.
func TestTake(t *testing.T) {
	client, _ := serve(t)
	reply, err := client.Take(t.Context(), servertest.Request[*legacypb.LegacyEvent](t, "testdata/take.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Take is not implemented yet: write it in take.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkTake(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*legacypb.LegacyEvent](b, "testdata/take.json")
	for b.Loop() {
		if _, err := client.Take(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/take.json is refused
		}
	}
}
