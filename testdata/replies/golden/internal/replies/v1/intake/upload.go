package intake

import (
	"errors"
	"io"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// Upload stores each event as it arrives, and acknowledges all of them at the
// end.
func (s *Service) Upload(stream repliespb.Intake_UploadServer) error {
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
		receipts, err := s.events.AppendSaleEvent(ctx, event)
		if err != nil {
			return err
		}
		stored.Add(receipts...)
	}
	recorded, err := s.events.RecordedTime(ctx, stored.Last)
	if err != nil {
		return err
	}
	return stream.SendAndClose(&repliespb.BatchReply{
		Count:          int64(stored.Events),
		Position:       int64(stored.Last.Position),
		EventId:        stored.Last.ID,
		Duplicates:     int32(stored.Duplicates),
		RecordedTimeUs: eventlog.UnixNumber(recorded, time.Microsecond),
	})
}
