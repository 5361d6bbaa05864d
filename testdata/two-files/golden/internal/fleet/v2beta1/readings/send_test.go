package readings

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb"
)

// TestSend checks the reply. TestContract checks that events are stored exactly once.
func TestSend(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Sample[*fleetpb.ReadingEvent]()
	reply, err := client.Send(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := reply.GetMessage(), "stored"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
}
