package other

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestUnary asks for a name before and after it is counted.
func TestUnary(t *testing.T) {
	client := serve(t)
	ada := &kindspb.Reply{Message: "ada"}
	if _, err := client.Unary(t.Context(), ada); status.Code(err) != codes.NotFound {
		t.Errorf("error is %v, want code NotFound", err)
	}
	if _, err := client.NotTaken(t.Context(), &kindspb.ClickEvent{UserId: "ada"}); err != nil {
		t.Fatal(err)
	}
	reply, err := client.Unary(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	if reply.GetCount() != 1 || reply.GetMessage() != "ada" {
		t.Errorf("reply is %v, want ada, counted once", reply)
	}
}
