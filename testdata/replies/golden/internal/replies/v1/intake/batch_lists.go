package intake

import (
	"context"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// BatchLists stores the events, all or none, and then acknowledges them.
func (s *Service) BatchLists(ctx context.Context, request *repliespb.BatchRequest) (*repliespb.ListsReply, error) {
	receipts, err := s.events.AppendSaleEvent(eventid.Sequence(ctx), request.GetEvents()...)
	if err != nil {
		return nil, err
	}
	return &repliespb.ListsReply{
		Positions:  eventlog.Positions[uint64](receipts),
		EventIds:   eventlog.IDs(receipts),
		Duplicates: eventlog.Duplicates(receipts),
	}, nil
}
