package other

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestUnary sends the request in testdata/unary.json. The service may refuse
// it, with a code that shows the caller what to do.
func TestUnary(t *testing.T) {
	client := serve(t)
	reply, err := client.Unary(t.Context(), servertest.Request[*kindspb.Reply](t, "testdata/unary.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Unary is not implemented yet: write it in unary.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkUnary(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*kindspb.Reply](b, "testdata/unary.json")
	for b.Loop() {
		if _, err := client.Unary(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/unary.json is refused
		}
	}
}
