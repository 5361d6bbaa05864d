package orders

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// TestCollect sends the request in testdata/collect.json. The service may
// refuse it, with a code that shows the caller what to do.
func TestCollect(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(servertest.Request[*rulesv1.AllRules](t, "testdata/collect.json")) // the reply says what went wrong
	reply, err := stream.CloseAndRecv()
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Collect is not implemented yet: write it in collect.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkCollect(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*rulesv1.AllRules](b, "testdata/collect.json")
	for b.Loop() {
		stream, err := client.Collect(b.Context())
		if err == nil {
			err = servertest.Upload(stream, requests())
		}
		if err != nil {
			b.Skip(err) // it is not implemented, or testdata/collect.json is refused
		}
	}
}
