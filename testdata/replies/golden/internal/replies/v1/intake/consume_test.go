package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb/repliesevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb/repliestest"
)

// TestConsume tests that stored events are handled without an error.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := repliesevents.New(log)
	if _, err := events.AppendSaleEvent(t.Context(), repliestest.NewSaleEvent()); err != nil {
		t.Fatal(err)
	}
	service := newService(t, events)
	servertest.Consume(t, log, consumerName, service.Consume)
}
