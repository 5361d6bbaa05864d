package other

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestClientStream checks the sum.
func TestClientStream(t *testing.T) {
	stream, err := serve(t).ClientStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, count := range []uint32{1, 2, 3} {
		if err := stream.Send(&kindspb.Reply{Message: "ada", Count: count}); err != nil {
			t.Fatal(err)
		}
	}
	reply, err := stream.CloseAndRecv()
	if err != nil {
		t.Fatal(err)
	}
	if got := reply.GetCount(); got != 6 {
		t.Errorf("the sum is %d, want 6", got)
	}
}
