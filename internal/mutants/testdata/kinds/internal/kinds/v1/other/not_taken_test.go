package other

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestNotTaken counts a user twice.
func TestNotTaken(t *testing.T) {
	client := serve(t)
	for _, want := range []uint32{1, 2} {
		reply, err := client.NotTaken(t.Context(), &kindspb.ClickEvent{UserId: "ada"})
		if err != nil {
			t.Fatal(err)
		}
		if got := reply.GetCount(); got != want {
			t.Errorf("ada was counted %d times, want %d", got, want)
		}
	}
}
