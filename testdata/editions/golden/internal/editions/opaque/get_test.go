package opaque

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb"
)

// TestGet sends the request in testdata/get.json and checks the reply.
// TestContract checks that events are stored exactly once.
func TestGet(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Request[*editionspb.Presses](t, "testdata/get.json", "editions.PressEvent.event_id")
	_, err := client.Get(t.Context(), request)
	if err != nil {
		t.Fatalf("testdata/get.json is refused: %v", err)
	}
}

// FuzzGet sends requests as no client would: each is refused with a code that
// shows the caller what to do, or its events are stored.
func FuzzGet(f *testing.F) {
	sample := servertest.Request[*editionspb.Presses](f, "testdata/get.json", "editions.PressEvent.event_id")
	servertest.Fuzz(f, sample, func(t *testing.T, request *editionspb.Presses) {
		client, events := serve(t)
		if _, err := client.Get(t.Context(), request); !servertest.Refused(t, err) {
			servertest.CheckStored(t, events.ReplayPressEvent, request.GetPresses()...)
		}
	})
}

// BenchmarkGet has many callers: events that arrive together share one commit.
func BenchmarkGet(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*editionspb.Presses](b, "testdata/get.json", "editions.PressEvent.event_id")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			if _, err := client.Get(b.Context(), requests()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
