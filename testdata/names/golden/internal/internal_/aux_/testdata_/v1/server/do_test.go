package server

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestDo sends the request in testdata/do.json and checks the reply.
// TestContract checks that events are stored exactly once.
func TestDo(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Request[*context.ClientEvent](t, "testdata/do.json")
	_, err := client.Do(t.Context(), event)
	if err != nil {
		t.Fatalf("testdata/do.json is refused: %v", err)
	}
}

// FuzzDo sends requests as no client would: each is refused with a code that
// shows the caller what to do, or its events are stored.
func FuzzDo(f *testing.F) {
	sample := servertest.Request[*context.ClientEvent](f, "testdata/do.json")
	servertest.Fuzz(f, sample, func(t *testing.T, event *context.ClientEvent) {
		client, events := serve(t)
		if _, err := client.Do(t.Context(), event); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayClientEvent, event)
		}
	})
}

// BenchmarkDo has many callers: events that arrive together share one commit.
func BenchmarkDo(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*context.ClientEvent](b, "testdata/do.json")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.Do(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
