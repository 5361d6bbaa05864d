package readings

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb"
)

// Send stores the event and then acknowledges it.
func (s *Service) Send(ctx context.Context, event *fleetpb.ReadingEvent) (*fleetpb.Ack, error) {
	if _, err := s.events.AppendReadingEvent(ctx, event); err != nil {
		return nil, err
	}
	return &fleetpb.Ack{Message: proto.String("stored")}, nil
}
