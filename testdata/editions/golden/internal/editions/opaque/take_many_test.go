package opaque

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb"
)

// TestTakeMany checks the reply. TestContract checks that events are stored exactly once.
func TestTakeMany(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.TakeMany(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := stream.Send(servertest.Sample[*editionspb.Presses]("editions.PressEvent.event_id")); err != nil {
			t.Fatal(err)
		}
	}
	_, err = stream.CloseAndRecv()
	if err != nil {
		t.Fatal(err)
	}
}
