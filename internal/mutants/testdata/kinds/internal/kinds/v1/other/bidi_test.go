package other

import (
	"errors"
	"io"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestBidi checks that each answer comes before the next name is sent.
func TestBidi(t *testing.T) {
	stream, err := serve(t).Bidi(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []uint32{1, 2, 3} {
		if err := stream.Send(&kindspb.Reply{Message: "ada"}); err != nil {
			t.Fatal(err)
		}
		reply, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if got := reply.GetCount(); got != want {
			t.Errorf("ada was counted %d times, want %d", got, want)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("error is %v, want EOF", err)
	}
}
