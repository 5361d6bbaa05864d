package orders

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1events"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1test"
)

// TestConsume tests that stored events are handled without an error.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := rulesv1events.New(log)
	if _, err := events.AppendOrderEvent(t.Context(), rulesv1test.NewOrderEvent()); err != nil {
		t.Fatal(err)
	}
	service := newService(t, events)
	servertest.Consume(t, log, consumerName, service.Consume)
}
