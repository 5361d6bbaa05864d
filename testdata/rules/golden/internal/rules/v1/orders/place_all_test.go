package orders

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// TestPlaceAll checks the reply. TestContract checks that events are stored exactly once.
func TestPlaceAll(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Sample[*rulesv1.Batch]("rules.v1.OrderEvent.event_id")
	reply, err := client.PlaceAll(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := int(reply.GetPosition()), len(request.GetEvents()); got != want {
		t.Errorf("position is %d, want %d", got, want)
	}
}
