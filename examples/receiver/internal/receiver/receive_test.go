package receiver

import (
	"testing"

	"example.com/receiver/gen/receiverpb/receivertest"
)

// That an event is stored, and once, is tested by the contract; what is
// answered is for you to say here.
func TestReceive(t *testing.T) {
	client, _ := serve(t)
	event := receivertest.NewEvent()
	reply, err := client.Receive(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := reply.GetMessage(), "Hello, "+event.GetXwho()+"!"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
}
