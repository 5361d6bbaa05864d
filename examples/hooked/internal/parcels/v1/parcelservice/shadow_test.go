package parcelservice

import (
	"testing"

	"example.com/hooked/gen/parcels/v1/parcelsv1test"
	"example.com/hooked/internal/receiver-runtime/servertest"
)

// shadow has the flags of TestShadow.
var shadow = servertest.ShadowFlags()

// TestShadow has the RPCs and the consumer take events that a server has stored, and prints
// those with which they fail, panic or take long:
//
//	go test ./internal/parcels/v1/parcelservice -run Shadow -events sqlite:/path/to/events.db -since 168h
//
// The log is only read. What handlers do elsewhere they really do: have newService give the
// service something harmless for it.
func TestShadow(t *testing.T) {
	parcelsv1test.ParcelServiceConsumer[*Service]{
		Name:    consumerName,
		New:     newService,
		Consume: (*Service).Consume,
	}.Shadow(t, shadow)
}
