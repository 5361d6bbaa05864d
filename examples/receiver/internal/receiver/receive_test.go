package receiver

import (
	"testing"

	"example.com/receiver/gen/receiverpb"
	"example.com/receiver/internal/receiver-runtime/servertest"
)

// That events are stored, and once, is tested by the contract; what is answered
// is for you to say here.
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
