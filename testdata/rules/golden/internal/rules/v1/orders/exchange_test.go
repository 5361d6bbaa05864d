package orders

import (
	"errors"
	"io"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// TestExchange checks the reply. TestContract checks that events are stored exactly once.
func TestExchange(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.Exchange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := stream.Send(servertest.Sample[*rulesv1.OrderEvent]("rules.v1.OrderEvent.event_id")); err != nil {
			t.Fatal(err)
		}
		reply, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if got := reply.GetPosition(); got != int64(i+1) {
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
