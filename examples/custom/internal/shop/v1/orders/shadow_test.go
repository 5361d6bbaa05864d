package orders

import (
	"testing"

	"example.com/shop/gen/shop/v1/shopv1test"
	"example.com/shop/internal/receiver-runtime/servertest"
)

// shadow has the flags of TestShadow.
var shadow = servertest.ShadowFlags()

// TestShadow has the RPCs and the consumer take events that a server has stored, and prints
// those with which they fail, panic or take long:
//
//	go test ./internal/shop/v1/orders -run Shadow -events sqlite:/path/to/events.db -since 168h
//
// The log is only read. What handlers do elsewhere they really do: have newService give the
// service something harmless for it.
func TestShadow(t *testing.T) {
	shopv1test.OrdersConsumer[*Service]{
		Name:    consumerName,
		New:     newService,
		Consume: (*Service).Consume,
	}.Shadow(t, shadow)
}
