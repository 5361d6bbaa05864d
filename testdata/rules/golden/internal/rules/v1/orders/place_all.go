package orders

import (
	"context"
	"fmt"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// PlaceAll stores the events, all or none, and then acknowledges them.
func (s *Service) PlaceAll(ctx context.Context, request *rulesv1.Batch) (*rulesv1.Placed, error) {
	receipts, err := s.events.AppendOrderEvent(eventid.Sequence(ctx), request.GetEvents()...)
	if err != nil {
		return nil, err
	}
	var stored eventlog.Sum
	stored.Add(receipts...)
	return &rulesv1.Placed{
		Message:  fmt.Sprintf("%d stored", len(receipts)),
		Position: int64(stored.Last.Position),
	}, nil
}
