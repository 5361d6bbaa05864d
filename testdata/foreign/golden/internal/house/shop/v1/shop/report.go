package shop

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	commonv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/common/v1"
)

// Report stores the event and then acknowledges it.
func (s *Service) Report(ctx context.Context, event *commonv1.Event) (*emptypb.Empty, error) {
	if _, err := s.events.AppendCommonv1Event(ctx, event); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}
