package legacy

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb"
)

// TestWatch sends the request in testdata/watch.json. The service may refuse
// it, with a code that shows the caller what to do.
func TestWatch(t *testing.T) {
	client, _ := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	stream, err := client.Watch(ctx, servertest.Request[*legacypb.Receipt](t, "testdata/watch.json"))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := stream.Recv()
	switch {
	case status.Code(err) == codes.Unimplemented:
		t.Skip("Watch is not implemented yet: write it in watch.go")
	case status.Code(err) == codes.DeadlineExceeded:
		t.Skip("Watch has sent nothing within a second: do here what it waits for")
	case !errors.Is(err, io.EOF) && !servertest.Refused(t, err):
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkWatch(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*legacypb.Receipt](b, "testdata/watch.json")
	for b.Loop() {
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		stream, err := client.Watch(ctx, requests())
		if err == nil {
			err = servertest.First(stream)
		}
		cancel()
		if err != nil {
			b.Skip(err) // it is not implemented, or testdata/watch.json is refused
		}
	}
}
