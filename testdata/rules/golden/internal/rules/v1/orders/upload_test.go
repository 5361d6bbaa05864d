package orders

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// TestUpload sends the request in testdata/upload.json three times and checks
// the reply. TestContract checks that events are stored exactly once.
func TestUpload(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.Upload(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := stream.Send(servertest.Request[*rulesv1.OrderEvent](t, "testdata/upload.json", "rules.v1.OrderEvent.event_id")); err != nil {
			break // the reply says why
		}
	}
	reply, err := stream.CloseAndRecv()
	if err != nil {
		t.Fatalf("testdata/upload.json is refused: %v", err)
	}
	if got := reply.GetPosition(); got != 3 {
		t.Errorf("position is %d, want that of the last event", got)
	}
}

// BenchmarkUpload has many callers: events that arrive together share one
// commit.
func BenchmarkUpload(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*rulesv1.OrderEvent](b, "testdata/upload.json", "rules.v1.OrderEvent.event_id")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			stream, err := client.Upload(b.Context())
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
