package opaque

import (
	"context"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb"
)

// Get stores the events, all or none, and then acknowledges them.
func (s *Service) Get(ctx context.Context, request *editionspb.Presses) (*editionspb.Reply, error) {
	if _, err := s.events.AppendPressEvent(eventid.Sequence(ctx), request.GetPresses()...); err != nil {
		return nil, err
	}
	return &editionspb.Reply{}, nil
}
