package other

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestNotHeld counts an event, and refuses one that is too late.
func TestNotHeld(t *testing.T) {
	client := serve(t)
	request := &kindspb.UpdateRequest{
		Event: &kindspb.ClickEvent{UserId: "ada", EventTime: &timestamppb.Timestamp{Seconds: 1}},
		AsOf:  &timestamppb.Timestamp{Seconds: 2},
	}
	reply, err := client.NotHeld(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if got := reply.GetCount(); got != 1 {
		t.Errorf("ada was counted %d times, want once", got)
	}
	request.Event.EventTime.Seconds = 3
	if _, err := client.NotHeld(t.Context(), request); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("error is %v, want code FailedPrecondition", err)
	}
}
