package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestHeld checks the reply. TestContract checks that events are stored exactly once.
func TestHeld(t *testing.T) {
	client, _ := serve(t)
	request := servertest.Sample[*kindspb.HeldRequest]()
	reply, err := client.Held(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := reply.GetMessage(), "stored"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
	if got := reply.GetCount(); got != 1 {
		t.Errorf("count is %d, want 1", got)
	}
}
