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

// TestFind sends the request in testdata/find.json. The service may refuse it,
// with a code that shows the caller what to do.
func TestFind(t *testing.T) {
	client, _ := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	stream, err := client.Find(ctx, servertest.Request[*rulesv1.AllRules](t, "testdata/find.json"))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := stream.Recv()
	switch {
	case status.Code(err) == codes.Unimplemented:
		t.Skip("Find is not implemented yet: write it in find.go")
	case status.Code(err) == codes.DeadlineExceeded:
		t.Skip("Find has sent nothing within a second: do here what it waits for")
	case !errors.Is(err, io.EOF) && !servertest.Refused(t, err):
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkFind(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*rulesv1.AllRules](b, "testdata/find.json")
	for b.Loop() {
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		stream, err := client.Find(ctx, requests())
		if err == nil {
			err = servertest.First(stream)
		}
		cancel()
		if err != nil {
			b.Skip(err) // it is not implemented, or testdata/find.json is refused
		}
	}
}
