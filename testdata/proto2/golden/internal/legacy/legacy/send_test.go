package legacy

import (
	"errors"
	"io"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb"
)

// TestSend checks the reply. TestContract checks that events are stored exactly once.
func TestSend(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.Send(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := stream.Send(servertest.Sample[*legacypb.LegacyEvent]()); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("error is %v, want EOF", err)
	}
}
