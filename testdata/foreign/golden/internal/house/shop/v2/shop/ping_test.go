package shop

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// TestPing sends the request in testdata/ping.json. The service may refuse it,
// with a code that shows the caller what to do.
func TestPing(t *testing.T) {
	client, _ := serve(t)
	reply, err := client.Ping(t.Context(), servertest.Request[*emptypb.Empty](t, "testdata/ping.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Ping is not implemented yet: write it in ping.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkPing(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*emptypb.Empty](b, "testdata/ping.json")
	for b.Loop() {
		if _, err := client.Ping(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/ping.json is refused
		}
	}
}
