package orders

import (
	"errors"
	"io"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// TestExchange sends the request in testdata/exchange.json three times and
// checks the replies. TestContract checks that events are stored exactly once.
func TestExchange(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.Exchange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := stream.Send(servertest.Request[*rulesv1.OrderEvent](t, "testdata/exchange.json", "rules.v1.OrderEvent.event_id")); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		reply, err := stream.Recv()
		if err != nil {
			t.Fatalf("testdata/exchange.json is refused: %v", err)
		}
		if got, want := reply.GetPosition(), int64(i+1); got != want {
			t.Errorf("position for request %d is %d, want %d", i+1, got, want)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("error is %v, want EOF", err)
	}
}

// BenchmarkExchange has many callers: events that arrive together share one
// commit.
func BenchmarkExchange(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*rulesv1.OrderEvent](b, "testdata/exchange.json", "rules.v1.OrderEvent.event_id")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			stream, err := client.Exchange(b.Context())
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
