package clickstreamservice

import (
	"errors"
	"io"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/internal/receiver-runtime/eventid"
)

// Relay stores events as they arrive, and acknowledges each: for a collector
// that deletes what is acknowledged from its own disk.
func (s *Service) Relay(stream clickstreamv1.ClickstreamService_RelayServer) error {
	ctx := eventid.Sequence(stream.Context())
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		receipts, err := s.events.AppendClickEvent(ctx, request.GetEvent())
		if err != nil {
			return err
		}
		err = stream.Send(&clickstreamv1.RelayResponse{
			Position: uint64(receipts[0].Position),
			EventId:  receipts[0].ID,
		})
		if err != nil {
			return err
		}
	}
}
