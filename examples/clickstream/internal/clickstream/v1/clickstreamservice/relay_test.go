package clickstreamservice

import (
	"errors"
	"io"
	"testing"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/internal/receiver-runtime/servertest"
)

// TestRelay sends the request in testdata/relay.json three times and checks the
// replies. TestContract checks that events are stored exactly once.
func TestRelay(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.Relay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := stream.Send(servertest.Request[*clickstreamv1.RelayRequest](t, "testdata/relay.json", "clickstream.v1.ClickEvent.event_id")); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		reply, err := stream.Recv()
		if err != nil {
			t.Fatalf("testdata/relay.json is refused: %v", err)
		}
		if got, want := reply.GetPosition(), uint64(i+1); got != want {
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

// BenchmarkRelay has many callers: events that arrive together share one
// commit.
func BenchmarkRelay(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*clickstreamv1.RelayRequest](b, "testdata/relay.json", "clickstream.v1.ClickEvent.event_id")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			stream, err := client.Relay(b.Context())
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
