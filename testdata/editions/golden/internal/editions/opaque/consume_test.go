package opaque

import (
	"context"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb/editionsevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb/editionstest"
)

// What is stored is handled, without an error.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := editionsevents.New(log)
	service := newService(t, events).(interface{ Consume(context.Context) error })
	if _, err := events.AppendPressEvent(t.Context(), editionstest.NewPressEvent()); err != nil {
		t.Fatal(err)
	}
	servertest.Consume(t, log, "editions.Opaque", service.Consume)
}
