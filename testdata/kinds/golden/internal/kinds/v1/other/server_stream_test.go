package other

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestServerStream sends the request in testdata/server_stream.json. The
// service may refuse it, with a code that shows the caller what to do.
func TestServerStream(t *testing.T) {
	client := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	stream, err := client.ServerStream(ctx, servertest.Request[*kindspb.ClickEvent](t, "testdata/server_stream.json"))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := stream.Recv()
	switch {
	case status.Code(err) == codes.Unimplemented:
		t.Skip("ServerStream is not implemented yet: write it in server_stream.go")
	case status.Code(err) == codes.DeadlineExceeded:
		t.Skip("ServerStream has sent nothing within a second: do here what it waits for")
	case !errors.Is(err, io.EOF) && !servertest.Refused(t, err):
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkServerStream(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*kindspb.ClickEvent](b, "testdata/server_stream.json")
	for b.Loop() {
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		stream, err := client.ServerStream(ctx, requests())
		if err == nil {
			err = servertest.First(stream)
		}
		cancel()
		if err != nil {
			b.Skip(err) // it is not implemented, or testdata/server_stream.json is refused
		}
	}
}
