package intake

import (
	"errors"
	"io"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// That events are stored, and once, is tested by the contract; what is answered
// is for you to say here.
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
		t.Errorf("the stream ends with %v, want EOF", err)
	}
}
