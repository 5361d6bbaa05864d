package client

import (
	"context"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contextevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contexttest"
)

// What is stored is handled, without an error.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := contextevents.New(log)
	service := newService(t, events).(interface{ Consume(context.Context) error })
	if _, err := events.AppendLogEvent(t.Context(), contexttest.NewLogEvent()); err != nil {
		t.Fatal(err)
	}
	servertest.Consume(t, log, "internal.aux.testdata.v1.Client", service.Consume)
}
