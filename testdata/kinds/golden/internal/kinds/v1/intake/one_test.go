package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestOne sends the request in testdata/one.json and checks the reply.
// TestContract checks that events are stored exactly once.
func TestOne(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Request[*kindspb.ClickEvent](t, "testdata/one.json")
	reply, err := client.One(t.Context(), event)
	if err != nil {
		t.Fatalf("testdata/one.json is refused: %v", err)
	}
	if got, want := reply.GetMessage(), "stored"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
	if got := reply.GetCount(); got != 1 {
		t.Errorf("count is %d, want 1", got)
	}
}

// FuzzOne sends requests as no client would: each is refused with a code that
// shows the caller what to do, or its events are stored.
func FuzzOne(f *testing.F) {
	sample := servertest.Request[*kindspb.ClickEvent](f, "testdata/one.json")
	servertest.Fuzz(f, sample, func(t *testing.T, event *kindspb.ClickEvent) {
		client, events := serve(t)
		if _, err := client.One(t.Context(), event); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayClickEvent, event)
		}
	})
}

// BenchmarkOne has many callers: events that arrive together share one commit.
func BenchmarkOne(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*kindspb.ClickEvent](b, "testdata/one.json")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.One(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
