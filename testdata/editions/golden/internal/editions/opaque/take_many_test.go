package opaque

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb"
)

// TestTakeMany sends the request in testdata/take_many.json three times and
// checks the reply. TestContract checks that events are stored exactly once.
func TestTakeMany(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.TakeMany(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := stream.Send(servertest.Request[*editionspb.Presses](t, "testdata/take_many.json", "editions.PressEvent.event_id")); err != nil {
			break // the reply says why
		}
	}
	_, err = stream.CloseAndRecv()
	if err != nil {
		t.Fatalf("testdata/take_many.json is refused: %v", err)
	}
}

// BenchmarkTakeMany has many callers: events that arrive together share one
// commit.
func BenchmarkTakeMany(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*editionspb.Presses](b, "testdata/take_many.json", "editions.PressEvent.event_id")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			stream, err := client.TakeMany(b.Context())
			if err == nil {
				err = servertest.Upload(stream, requests())
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}
