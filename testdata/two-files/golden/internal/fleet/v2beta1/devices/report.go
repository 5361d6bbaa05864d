package devices

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb"
)

// Report stores the event and then acknowledges it.
func (s *Service) Report(ctx context.Context, event *fleetpb.Reading_StateEvent) (*fleetpb.Ack, error) {
	if _, err := s.events.AppendReading_StateEvent(ctx, event); err != nil {
		return nil, err
	}
	return &fleetpb.Ack{Message: proto.String("stored")}, nil
}
