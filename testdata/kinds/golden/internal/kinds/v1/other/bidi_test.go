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

// TestBidi sends the request in testdata/bidi.json. The service may refuse it,
// with a code that shows the caller what to do.
func TestBidi(t *testing.T) {
	client := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	stream, err := client.Bidi(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(servertest.Request[*kindspb.Reply](t, "testdata/bidi.json")) // the reply says what went wrong
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	reply, err := stream.Recv()
	switch {
	case status.Code(err) == codes.Unimplemented:
		t.Skip("Bidi is not implemented yet: write it in bidi.go")
	case status.Code(err) == codes.DeadlineExceeded:
		t.Skip("Bidi has sent nothing within a second: do here what it waits for")
	case !errors.Is(err, io.EOF) && !servertest.Refused(t, err):
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkBidi(b *testing.B) {
	client := serve(b)
	requests := servertest.Requests[*kindspb.Reply](b, "testdata/bidi.json")
	for b.Loop() {
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		stream, err := client.Bidi(ctx)
		if err == nil {
			err = servertest.Exchange(stream, requests())
		}
		cancel()
		if err != nil {
			b.Skip(err) // it is not implemented, or testdata/bidi.json is refused
		}
	}
}
