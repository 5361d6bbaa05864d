package orders

import (
	"errors"
	"fmt"
	"io"

	shopv1 "example.com/shop/gen/shop/v1"
	"example.com/shop/internal/receiver-runtime/eventid"
	"example.com/shop/internal/receiver-runtime/eventlog"
)

// Stores events as they arrive.
func (s *Service) ReportAll(stream shopv1.Orders_ReportAllServer) error {
	ctx := eventid.Sequence(stream.Context())
	var stored eventlog.Sum
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		receipts, err := s.events.AppendOrderEvent(ctx, event)
		if err != nil {
			return err
		}
		stored.Add(receipts...)
	}
	return stream.SendAndClose(&shopv1.Reported{
		Message: fmt.Sprintf("%d stored", stored.Events),
	})
}
