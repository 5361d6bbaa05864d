package other

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestClientStream sends the request in testdata/client_stream.json. The
// service may refuse it, with a code that shows the caller what to do.
func TestClientStream(t *testing.T) {
	client := serve(t)
	stream, err := client.ClientStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(servertest.Request[*kindspb.Reply](t, "testdata/client_stream.json")) // the reply says what went wrong
	reply, err := stream.CloseAndRecv()
	if status.Code(err) == codes.Unimplemented {
		t.Skip("ClientStream is not implemented yet: write it in client_stream.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkClientStream(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*kindspb.Reply](b, "testdata/client_stream.json")
	for b.Loop() {
		stream, err := client.ClientStream(b.Context())
		if err == nil {
			err = servertest.Upload(stream, requests())
		}
		if err != nil {
			b.Skip(err) // it is not implemented, or testdata/client_stream.json is refused
		}
	}
}
