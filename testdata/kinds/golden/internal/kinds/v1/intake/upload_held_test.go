package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestUploadHeld checks the reply. TestContract checks that events are stored exactly once.
func TestUploadHeld(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.UploadHeld(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := stream.Send(servertest.Sample[*kindspb.HeldRequest]()); err != nil {
			t.Fatal(err)
		}
	}
	_, err = stream.CloseAndRecv()
	if err != nil {
		t.Fatal(err)
	}
}
