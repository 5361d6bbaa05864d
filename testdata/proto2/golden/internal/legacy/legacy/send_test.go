package legacy

import (
	"errors"
	"io"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb"
)

// TestSend sends the request in testdata/send.json three times and checks the
// replies. TestContract checks that events are stored exactly once.
func TestSend(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.Send(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := stream.Send(servertest.Request[*legacypb.LegacyEvent](t, "testdata/send.json")); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		if err != nil {
			t.Fatalf("testdata/send.json is refused: %v", err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("error is %v, want EOF", err)
	}
}

// BenchmarkSend has many callers: events that arrive together share one commit.
func BenchmarkSend(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*legacypb.LegacyEvent](b, "testdata/send.json")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			stream, err := client.Send(b.Context())
			if err == nil {
				err = servertest.Exchange(stream, requests())
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}
