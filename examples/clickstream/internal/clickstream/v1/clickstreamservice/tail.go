package clickstreamservice

import (
	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/gen/clickstream/v1/clickstreamv1events"
	"example.com/clickstream/internal/receiver-runtime/server"
)

// Tail sends the stored events after a position or since a time, and then each
// new one.
func (s *Service) Tail(request *clickstreamv1.TailRequest, stream clickstreamv1.ClickstreamService_TailServer) error {
	ctx, stop := server.UntilDrain(stream.Context())
	defer stop()
	from := clickstreamv1events.After(clickstreamv1events.Position(request.GetAfter()))
	if since := request.GetSince(); since != nil {
		from = clickstreamv1events.Since(since.AsTime())
	}
	for stored, err := range s.events.TailClickEvent(ctx, from) {
		if err != nil {
			return err
		}
		err = stream.Send(&clickstreamv1.TailResponse{
			Event:    stored.Message,
			Position: uint64(stored.Position),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
