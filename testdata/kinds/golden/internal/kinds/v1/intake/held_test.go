package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestHeld sends the request in testdata/held.json and checks the reply.
// TestContract checks that events are stored exactly once.
func TestHeld(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Request[*kindspb.HeldRequest](t, "testdata/held.json")
	reply, err := client.Held(t.Context(), request)
	if err != nil {
		t.Fatalf("testdata/held.json is refused: %v", err)
	}
	if got, want := reply.GetMessage(), "stored"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
	if got := reply.GetCount(); got != 1 {
		t.Errorf("count is %d, want 1", got)
	}
}

// FuzzHeld sends requests as no client would: each is refused with a code that
// shows the caller what to do, or its events are stored.
func FuzzHeld(f *testing.F) {
	sample := servertest.Request[*kindspb.HeldRequest](f, "testdata/held.json")
	servertest.Fuzz(f, sample, func(t *testing.T, request *kindspb.HeldRequest) {
		client, events := serve(t)
		if _, err := client.Held(t.Context(), request); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayClickEvent, request.GetEvent())
		}
	})
}

// BenchmarkHeld has many callers: events that arrive together share one commit.
func BenchmarkHeld(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*kindspb.HeldRequest](b, "testdata/held.json")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.Held(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
