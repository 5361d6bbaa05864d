package movementservice

import (
	"context"

	inventoryv1 "example.com/inventory/gen/inventory/v1"
)

// ReportMovement stores a movement. It counts once, however often it is sent.
func (s *Service) ReportMovement(ctx context.Context, request *inventoryv1.ReportMovementRequest) (*inventoryv1.ReportMovementResponse, error) {
	receipts, err := s.events.AppendMovementEvent(ctx, request.GetMovement())
	if err != nil {
		return nil, err
	}
	return &inventoryv1.ReportMovementResponse{
		Position:  uint64(receipts[0].Position),
		Duplicate: receipts[0].Duplicate,
	}, nil
}
