package intake

import (
	"errors"
	"io"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// TestExchangeBatches sends the request in testdata/exchange_batches.json three
// times and checks the replies. TestContract checks that events are stored
// exactly once.
func TestExchangeBatches(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.ExchangeBatches(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := stream.Send(servertest.Request[*repliespb.BatchRequest](t, "testdata/exchange_batches.json")); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		reply, err := stream.Recv()
		if err != nil {
			t.Fatalf("testdata/exchange_batches.json is refused: %v", err)
		}
		if got, want := reply.GetOffset(), int64(i+1); got < want {
			t.Errorf("offset for request %d is %d, want at least %d", i+1, got, want)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("error is %v, want EOF", err)
	}
}

// BenchmarkExchangeBatches has many callers: events that arrive together share
// one commit.
func BenchmarkExchangeBatches(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*repliespb.BatchRequest](b, "testdata/exchange_batches.json")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			stream, err := client.ExchangeBatches(b.Context())
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
