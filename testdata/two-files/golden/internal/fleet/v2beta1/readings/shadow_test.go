package readings

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb/fleettest"
)

// shadow has the flags of TestShadow.
var shadow = servertest.ShadowFlags()

// TestShadow has the RPCs and the consumer take events that a server has stored, and prints
// those with which they fail, panic or take long:
//
//	go test ./internal/fleet/v2beta1/readings -run Shadow -events sqlite:/path/to/events.db -since 168h
//
// The log is only read. What handlers do elsewhere they really do: have newService give the
// service something harmless for it.
func TestShadow(t *testing.T) {
	fleettest.ReadingsConsumer[*Service]{
		Name:    consumerName,
		New:     newService,
		Consume: (*Service).Consume,
	}.Shadow(t, shadow)
}
