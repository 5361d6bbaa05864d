package shop

import (
	"context"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2/shopv2events"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2/shopv2test"
)

// What is stored is handled, without an error.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := shopv2events.New(log)
	service := newService(t, events).(interface{ Consume(context.Context) error })
	if _, err := events.AppendCommonv1Event(t.Context(), shopv2test.NewCommonv1Event()); err != nil {
		t.Fatal(err)
	}
	if _, err := events.AppendEvent(t.Context(), shopv2test.NewEvent()); err != nil {
		t.Fatal(err)
	}
	servertest.Consume(t, log, "house.shop.v2.Shop", service.Consume)
}
