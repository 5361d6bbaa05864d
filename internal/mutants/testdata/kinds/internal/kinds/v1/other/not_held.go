package other

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// NotHeld counts the user of an event that happened by a time.
func (s *Service) NotHeld(ctx context.Context, request *kindspb.UpdateRequest) (*kindspb.Reply, error) {
	event := request.GetEvent()
	if event.GetUserId() == "" {
		return nil, status.Error(codes.InvalidArgument, "the event has no user_id")
	}
	if event.GetEventTime().AsTime().After(request.GetAsOf().AsTime()) {
		return nil, status.Error(codes.FailedPrecondition, "the event is after as_of")
	}
	return &kindspb.Reply{Message: event.GetUserId(), Count: s.add(event.GetUserId(), 1)}, nil
}
