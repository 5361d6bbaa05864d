package orders

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// TestPlace checks the reply. TestContract checks that events are stored exactly once.
func TestPlace(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Sample[*rulesv1.OrderEvent]("rules.v1.OrderEvent.event_id")
	reply, err := client.Place(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := reply.GetMessage(), "stored"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
	if got := reply.GetPosition(); got != 1 {
		t.Errorf("position is %d, want that of the first event, 1", got)
	}
}
