package receiver

import (
	"testing"

	"example.com/receiver/gen/receiverpb"
	"example.com/receiver/internal/receiver-runtime/servertest"
)

// TestReceive checks the reply. TestContract checks that events are stored exactly once.
func TestReceive(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Sample[*receiverpb.Event]()
	reply, err := client.Receive(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := reply.GetMessage(), "Hello, "+event.GetXwho()+"!"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
}
