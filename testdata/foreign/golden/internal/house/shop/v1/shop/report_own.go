package shop

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v1"
)

// ReportOwn stores the event and then acknowledges it.
func (s *Service) ReportOwn(ctx context.Context, event *shopv1.Event) (*emptypb.Empty, error) {
	if _, err := s.events.AppendEvent(ctx, event); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}
