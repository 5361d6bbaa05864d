package other

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestServerStream checks that names come in order.
func TestServerStream(t *testing.T) {
	client := serve(t)
	want := []string{"ada", "bob", "cyd", "dan", "eve", "fay"}
	for _, user := range []string{"eve", "cyd", "fay", "ada", "dan", "bob"} {
		if _, err := client.NotTaken(t.Context(), &kindspb.ClickEvent{UserId: user}); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := client.ServerStream(t.Context(), &kindspb.ClickEvent{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		reply, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, reply.GetMessage())
	}
	if !slices.Equal(got, want) {
		t.Errorf("the names are %q, want %q", got, want)
	}
}
