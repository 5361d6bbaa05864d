package intake

import (
	"context"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// Batch stores the events, all or none, and then acknowledges them.
func (s *Service) Batch(ctx context.Context, request *repliespb.BatchRequest) (*repliespb.BatchReply, error) {
	receipts, err := s.events.AppendSaleEvent(eventid.Sequence(ctx), request.GetEvents()...)
	if err != nil {
		return nil, err
	}
	var stored eventlog.Sum
	stored.Add(receipts...)
	recorded, err := s.events.RecordedTime(ctx, stored.Last)
	if err != nil {
		return nil, err
	}
	return &repliespb.BatchReply{
		Count:          int64(len(receipts)),
		Position:       int64(stored.Last.Position),
		EventId:        stored.Last.ID,
		Duplicates:     int32(stored.Duplicates),
		RecordedTimeUs: eventlog.UnixNumber(recorded, time.Microsecond),
	}, nil
}
