package orders

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// TestGet sends the request in testdata/get.json. The service may refuse it,
// with a code that shows the caller what to do.
func TestGet(t *testing.T) {
	client, _ := serve(t)
	reply, err := client.Get(t.Context(), servertest.Request[*rulesv1.AllRules](t, "testdata/get.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Get is not implemented yet: write it in get.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkGet(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*rulesv1.AllRules](b, "testdata/get.json")
	for b.Loop() {
		if _, err := client.Get(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/get.json is refused
		}
	}
}
