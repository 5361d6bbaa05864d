package orders

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// TestTalk sends the request in testdata/talk.json. The service may refuse it,
// with a code that shows the caller what to do.
func TestTalk(t *testing.T) {
	client, _ := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	stream, err := client.Talk(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(servertest.Request[*rulesv1.AllRules](t, "testdata/talk.json")) // the reply says what went wrong
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	reply, err := stream.Recv()
	switch {
	case status.Code(err) == codes.Unimplemented:
		t.Skip("Talk is not implemented yet: write it in talk.go")
	case status.Code(err) == codes.DeadlineExceeded:
		t.Skip("Talk has sent nothing within a second: do here what it waits for")
	case !errors.Is(err, io.EOF) && !servertest.Refused(t, err):
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkTalk(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*rulesv1.AllRules](b, "testdata/talk.json")
	for b.Loop() {
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		stream, err := client.Talk(ctx)
		if err == nil {
			err = servertest.Exchange(stream, requests())
		}
		cancel()
		if err != nil {
			b.Skip(err) // it is not implemented, or testdata/talk.json is refused
		}
	}
}
