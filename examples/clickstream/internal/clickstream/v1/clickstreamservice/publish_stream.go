package clickstreamservice

import (
	"errors"
	"io"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/internal/receiver-runtime/eventid"
	"example.com/clickstream/internal/receiver-runtime/eventlog"
)

// PublishStream stores events as they arrive, and acknowledges all at the end:
// an import.
func (s *Service) PublishStream(stream clickstreamv1.ClickstreamService_PublishStreamServer) error {
	ctx := eventid.Sequence(stream.Context())
	var stored eventlog.Sum
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		receipts, err := s.events.AppendClickEvent(ctx, request.GetEvent())
		if err != nil {
			return err
		}
		stored.Add(receipts...)
	}
	return stream.SendAndClose(&clickstreamv1.PublishStreamResponse{
		Count:      uint64(stored.Events),
		Duplicates: uint64(stored.Duplicates),
	})
}
