package receiver

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.com/receiver/gen/receiverpb"
	"example.com/receiver/gen/receiverpb/receiverevents"
	"example.com/receiver/internal/receiver-runtime/servertest"
)

func TestReceive(t *testing.T) {
	client, events := serve(t)
	event := servertest.Sample[*receiverpb.Event]()
	reply, err := client.Receive(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := reply.GetMessage(), "Hi, "+event.GetXwho()+"!"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
	event.Xwhat = "forbidden"
	if _, err := client.Receive(t.Context(), event); status.Code(err) != codes.PermissionDenied {
		t.Errorf("error is %v, want code PermissionDenied", err)
	}
	count := 0
	for stored, err := range events.ReplayEvent(t.Context(), receiverevents.After(0)) {
		if err != nil || stored.Message.GetXwhat() == "forbidden" || stored.Position < 1 {
			t.Errorf("stored %v, %v", stored, err)
		}
		count++
	}
	if count != 1 {
		t.Errorf("%d events are stored, want 1", count)
	}
}
