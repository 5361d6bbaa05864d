package legacy

import (
	"context"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb/legacyevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb/legacytest"
)

// What is stored is handled, without an error.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := legacyevents.New(log)
	service := newService(t, events).(interface{ Consume(context.Context) error })
	if _, err := events.AppendLegacyEvent(t.Context(), legacytest.NewLegacyEvent()); err != nil {
		t.Fatal(err)
	}
	servertest.Consume(t, log, "legacy.Legacy", service.Consume)
}
