package intake

import (
	"context"
	"fmt"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// Batch stores the events, all or none, and then acknowledges them.
func (s *Service) Batch(ctx context.Context, request *kindspb.BatchRequest) (*kindspb.Reply, error) {
	receipts, err := s.events.AppendClickEvent(eventid.Sequence(ctx), request.GetEvents()...)
	if err != nil {
		return nil, err
	}
	return &kindspb.Reply{
		Count:   uint32(len(receipts)),
		Message: fmt.Sprintf("%d stored", len(receipts)),
	}, nil
}
