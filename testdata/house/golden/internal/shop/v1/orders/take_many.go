package orders

import (
	"context"
	"fmt"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/gen/shop/v1"
)

// TakeMany stores the events, all or none, and then acknowledges them.
func (s *Service) TakeMany(ctx context.Context, request *shopv1.TakeManyRequest) (*shopv1.Reply, error) {
	receipts, err := s.events.AppendOrderEvent(eventid.Sequence(ctx), request.GetEvents()...)
	if err != nil {
		return nil, err
	}
	return &shopv1.Reply{
		Message: fmt.Sprintf("%d stored", len(receipts)),
	}, nil
}
