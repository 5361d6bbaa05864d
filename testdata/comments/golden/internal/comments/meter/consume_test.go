package meter

import (
	"context"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb/commentsevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb/commentstest"
)

// What is stored is handled, without an error.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := commentsevents.New(log)
	service := newService(t, events).(interface{ Consume(context.Context) error })
	if _, err := events.AppendMeasurement(t.Context(), commentstest.NewMeasurement()); err != nil {
		t.Fatal(err)
	}
	if _, err := events.AppendCalibration(t.Context(), commentstest.NewCalibration()); err != nil {
		t.Fatal(err)
	}
	servertest.Consume(t, log, "comments.Meter", service.Consume)
}
