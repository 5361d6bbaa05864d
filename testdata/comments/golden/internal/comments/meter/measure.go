package meter

import (
	"context"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb"
)

// Takes a measurement.
func (s *Service) Measure(ctx context.Context, event *commentspb.Measurement) (*commentspb.Measured, error) {
	if _, err := s.events.AppendMeasurement(ctx, event); err != nil {
		return nil, err
	}
	return &commentspb.Measured{}, nil
}
