package devices

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb"
)

// TestReport checks the reply. TestContract checks that events are stored exactly once.
func TestReport(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Sample[*fleetpb.Reading_StateEvent]()
	reply, err := client.Report(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := reply.GetMessage(), "stored"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
}
