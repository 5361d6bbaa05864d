package opaque

import (
	"context"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb"
)

// Take stores the event and then acknowledges it.
func (s *Service) Take(ctx context.Context, event *editionspb.PressEvent) (*editionspb.Reply, error) {
	if _, err := s.events.AppendPressEvent(ctx, event); err != nil {
		return nil, err
	}
	return editionspb.Reply_builder{Message: "stored"}.Build(), nil
}
