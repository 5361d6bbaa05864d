package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestUploadHeld sends the request in testdata/upload_held.json three times and
// checks the reply. TestContract checks that events are stored exactly once.
func TestUploadHeld(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.UploadHeld(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := stream.Send(servertest.Request[*kindspb.HeldRequest](t, "testdata/upload_held.json")); err != nil {
			break // the reply says why
		}
	}
	_, err = stream.CloseAndRecv()
	if err != nil {
		t.Fatalf("testdata/upload_held.json is refused: %v", err)
	}
}

// BenchmarkUploadHeld has many callers: events that arrive together share one
// commit.
func BenchmarkUploadHeld(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*kindspb.HeldRequest](b, "testdata/upload_held.json")
	b.SetParallelism(16)
	b.RunParallel(func(calls *testing.PB) {
		for calls.Next() {
			stream, err := client.UploadHeld(b.Context())
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
