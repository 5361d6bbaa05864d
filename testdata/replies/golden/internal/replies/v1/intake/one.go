package intake

import (
	"context"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// One stores the event and then acknowledges it.
func (s *Service) One(ctx context.Context, event *repliespb.SaleEvent) (*repliespb.OneReply, error) {
	receipts, err := s.events.AppendSaleEvent(ctx, event)
	if err != nil {
		return nil, err
	}
	recorded, err := s.events.RecordedTime(ctx, receipts[0])
	if err != nil {
		return nil, err
	}
	return &repliespb.OneReply{
		Message:      "stored",
		Position:     uint64(receipts[0].Position),
		EventId:      receipts[0].ID,
		Duplicate:    receipts[0].Duplicate,
		RecordedTime: eventlog.Timestamp(recorded),
	}, nil
}
