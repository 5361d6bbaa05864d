package intake

import (
	"errors"
	"io"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// ExchangeBatches stores each event as it arrives, and then acknowledges it.
func (s *Service) ExchangeBatches(stream repliespb.Intake_ExchangeBatchesServer) error {
	ctx := eventid.Sequence(stream.Context())
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		receipts, err := s.events.AppendSaleEvent(ctx, request.GetEvents()...)
		if err != nil {
			return err
		}
		var stored eventlog.Sum
		stored.Add(receipts...)
		recorded, err := s.events.RecordedTime(ctx, stored.Last)
		if err != nil {
			return err
		}
		err = stream.Send(&repliespb.MarkedReply{
			Offset: int64(stored.Last.Position),
			Key:    stored.Last.ID,
			Known:  stored.Duplicate(),
			At:     uint64(eventlog.UnixNumber(recorded, time.Millisecond)),
		})
		if err != nil {
			return err
		}
	}
}
