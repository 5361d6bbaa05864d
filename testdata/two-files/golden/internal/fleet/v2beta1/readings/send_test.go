package readings

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb"
)

// TestSend sends the request in testdata/send.json and checks the reply.
// TestContract checks that events are stored exactly once.
func TestSend(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Request[*fleetpb.ReadingEvent](t, "testdata/send.json")
	reply, err := client.Send(t.Context(), event)
	if err != nil {
		t.Fatalf("testdata/send.json is refused: %v", err)
	}
	if got, want := reply.GetMessage(), "stored"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
}

// FuzzSend sends requests as no client would: each is refused with a code that
// shows the caller what to do, or its events are stored.
func FuzzSend(f *testing.F) {
	sample := servertest.Request[*fleetpb.ReadingEvent](f, "testdata/send.json")
	servertest.Fuzz(f, sample, func(t *testing.T, event *fleetpb.ReadingEvent) {
		client, events := serve(t)
		if _, err := client.Send(t.Context(), event); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayReadingEvent, event)
		}
	})
}

// BenchmarkSend has many callers: events that arrive together share one commit.
func BenchmarkSend(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*fleetpb.ReadingEvent](b, "testdata/send.json")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.Send(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
