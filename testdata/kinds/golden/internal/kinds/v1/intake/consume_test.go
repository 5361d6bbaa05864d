package intake

import (
	"context"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindstest"
)

// What is stored is handled, without an error.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := kindsevents.New(log)
	service := newService(t, events).(interface{ Consume(context.Context) error })
	if _, err := events.AppendClickEvent(t.Context(), kindstest.NewClickEvent()); err != nil {
		t.Fatal(err)
	}
	servertest.Consume(t, log, "kinds.v1.Intake", service.Consume)
}
