package intake

import (
	"errors"
	"io"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// Exchange stores each event as it arrives, and then acknowledges it.
func (s *Service) Exchange(stream repliespb.Intake_ExchangeServer) error {
	ctx := eventid.Sequence(stream.Context())
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		receipts, err := s.events.AppendSaleEvent(ctx, event)
		if err != nil {
			return err
		}
		recorded, err := s.events.RecordedTime(ctx, receipts[0])
		if err != nil {
			return err
		}
		err = stream.Send(&repliespb.OneReply{
			Message:      "stored",
			Position:     uint64(receipts[0].Position),
			EventId:      receipts[0].ID,
			Duplicate:    receipts[0].Duplicate,
			RecordedTime: eventlog.Timestamp(recorded),
		})
		if err != nil {
			return err
		}
	}
}
