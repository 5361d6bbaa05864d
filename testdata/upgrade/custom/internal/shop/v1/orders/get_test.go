package orders

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	shopv1 "example.com/shop/gen/shop/v1"
	"example.com/shop/internal/receiver-runtime/servertest"
)

func TestGet(t *testing.T) {
	client, events := serve(t)
	if _, err := client.Get(t.Context(), &shopv1.GetRequest{Name: "none"}); status.Code(err) != codes.NotFound {
		t.Errorf("error is %v, want code NotFound", err)
	}
	event := servertest.Sample[*shopv1.OrderEvent]("shop.v1.OrderEvent.event_id")
	if _, err := events.AppendOrderEvent(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	order, err := client.Get(t.Context(), &shopv1.GetRequest{Name: event.GetPayload().GetName()})
	if err != nil || order.GetCents() != event.GetPayload().GetCents() {
		t.Errorf("got %v, %v; want the order of %v", order, err, event)
	}
}
