package orders

import (
	"context"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// Place stores the event and then acknowledges it.
func (s *Service) Place(ctx context.Context, event *rulesv1.OrderEvent) (*rulesv1.Placed, error) {
	receipts, err := s.events.AppendOrderEvent(ctx, event)
	if err != nil {
		return nil, err
	}
	return &rulesv1.Placed{
		Message:  "stored",
		Position: int64(receipts[0].Position),
	}, nil
}
