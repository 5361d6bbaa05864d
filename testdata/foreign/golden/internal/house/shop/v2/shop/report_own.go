package shop

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	shopv2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2"
)

// ReportOwn stores the event and then acknowledges it.
func (s *Service) ReportOwn(ctx context.Context, event *shopv2.Event) (*emptypb.Empty, error) {
	if _, err := s.events.AppendEvent(ctx, event); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}
