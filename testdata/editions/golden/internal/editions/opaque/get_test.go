package opaque

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb"
)

// TestGet checks the reply. TestContract checks that events are stored exactly once.
func TestGet(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Sample[*editionspb.Presses]("editions.PressEvent.event_id")
	_, err := client.Get(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
}
