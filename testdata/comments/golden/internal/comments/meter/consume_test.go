package meter

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb/commentsevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb/commentstest"
)

// TestConsume tests that stored events are handled without an error.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := commentsevents.New(log)
	if _, err := events.AppendMeasurement(t.Context(), commentstest.NewMeasurement()); err != nil {
		t.Fatal(err)
	}
	if _, err := events.AppendCalibration(t.Context(), commentstest.NewCalibration()); err != nil {
		t.Fatal(err)
	}
	service := newService(t, events)
	servertest.Consume(t, log, consumerName, service.Consume)
}
