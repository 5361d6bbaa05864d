package receiver

import (
	"testing"

	"example.com/receiver/gen/receiverpb"
	"example.com/receiver/internal/receiver-runtime/servertest"
)

// TestReceive sends the request in testdata/receive.json and checks the reply.
// TestContract checks that events are stored exactly once.
func TestReceive(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Request[*receiverpb.Event](t, "testdata/receive.json")
	reply, err := client.Receive(t.Context(), event)
	if err != nil {
		t.Fatalf("testdata/receive.json is refused: %v", err)
	}
	if got, want := reply.GetMessage(), "Hello, "+event.GetXwho()+"!"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
}

// FuzzReceive sends requests as no client would: each is refused with a code
// that shows the caller what to do, or its events are stored.
func FuzzReceive(f *testing.F) {
	sample := servertest.Request[*receiverpb.Event](f, "testdata/receive.json")
	servertest.Fuzz(f, sample, func(t *testing.T, event *receiverpb.Event) {
		client, events := serve(t)
		if _, err := client.Receive(t.Context(), event); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayEvent, event)
		}
	})
}

// BenchmarkReceive has many callers: events that arrive together share one
// commit.
func BenchmarkReceive(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*receiverpb.Event](b, "testdata/receive.json")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.Receive(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
