package clickstreamservice

import (
	"context"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/internal/receiver-runtime/eventid"
	"example.com/clickstream/internal/receiver-runtime/eventlog"
)

// PublishBatch stores all events of a batch or none, as browsers send them when
// a page is left.
func (s *Service) PublishBatch(ctx context.Context, request *clickstreamv1.PublishBatchRequest) (*clickstreamv1.PublishBatchResponse, error) {
	receipts, err := s.events.AppendClickEvent(eventid.Sequence(ctx), request.GetEvents()...)
	if err != nil {
		return nil, err
	}
	var stored eventlog.Sum
	stored.Add(receipts...)
	return &clickstreamv1.PublishBatchResponse{
		Count:      uint64(len(receipts)),
		Duplicates: uint64(stored.Duplicates),
	}, nil
}
