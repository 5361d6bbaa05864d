package clickstreamservice

import (
	"context"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
)

// Publish stores one event, and acknowledges it.
func (s *Service) Publish(ctx context.Context, request *clickstreamv1.PublishRequest) (*clickstreamv1.PublishResponse, error) {
	receipts, err := s.events.AppendClickEvent(ctx, request.GetEvent())
	if err != nil {
		return nil, err
	}
	return &clickstreamv1.PublishResponse{
		Position:  uint64(receipts[0].Position),
		Duplicate: receipts[0].Duplicate,
	}, nil
}
