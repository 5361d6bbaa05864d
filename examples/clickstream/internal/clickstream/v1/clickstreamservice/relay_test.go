package clickstreamservice

import (
	"errors"
	"io"
	"testing"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/internal/receiver-runtime/servertest"
)

// TestRelay checks the reply. TestContract checks that events are stored exactly once.
func TestRelay(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.Relay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := stream.Send(servertest.Sample[*clickstreamv1.RelayRequest]("clickstream.v1.ClickEvent.event_id")); err != nil {
			t.Fatal(err)
		}
		reply, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if got := reply.GetPosition(); got != uint64(i+1) {
			t.Errorf("position of event %d is %d", i, got)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("error is %v, want EOF", err)
	}
}
