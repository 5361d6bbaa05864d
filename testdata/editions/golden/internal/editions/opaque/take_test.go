package opaque

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb"
)

// TestTake checks the reply. TestContract checks that events are stored exactly once.
func TestTake(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Sample[*editionspb.PressEvent]("editions.PressEvent.event_id")
	reply, err := client.Take(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := reply.GetMessage(), "stored"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
}
