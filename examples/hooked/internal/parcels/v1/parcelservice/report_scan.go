package parcelservice

import (
	"context"

	parcelsv1 "example.com/hooked/gen/parcels/v1"
)

// ReportScan stores that a parcel was scanned, and acknowledges it.
func (s *Service) ReportScan(ctx context.Context, request *parcelsv1.ReportScanRequest) (*parcelsv1.ReportScanResponse, error) {
	receipts, err := s.events.AppendScanEvent(ctx, request.GetScan())
	if err != nil {
		return nil, err
	}
	return &parcelsv1.ReportScanResponse{
		Position:  uint64(receipts[0].Position),
		Duplicate: receipts[0].Duplicate,
	}, nil
}
