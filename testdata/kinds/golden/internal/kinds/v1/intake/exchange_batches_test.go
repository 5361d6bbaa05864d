package intake

import (
	"errors"
	"io"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestExchangeBatches checks the reply. TestContract checks that events are stored exactly once.
func TestExchangeBatches(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.ExchangeBatches(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := stream.Send(servertest.Sample[*kindspb.BatchRequest]()); err != nil {
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
