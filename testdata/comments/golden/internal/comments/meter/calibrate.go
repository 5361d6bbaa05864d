package meter

import (
	"context"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb"
)

// Calibrate stores the event and then acknowledges it.
func (s *Service) Calibrate(ctx context.Context, event *commentspb.Calibration) (*commentspb.Measured, error) {
	if _, err := s.events.AppendCalibration(ctx, event); err != nil {
		return nil, err
	}
	return &commentspb.Measured{}, nil
}
