package opaque

import (
	"context"
	"fmt"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb"
)

// Get stores the events, all or none, and then acknowledges them.
func (s *Service) Get(ctx context.Context, request *editionspb.Presses) (*editionspb.Reply, error) {
	receipts, err := s.events.AppendPressEvent(eventid.Sequence(ctx), request.GetPresses()...)
	if err != nil {
		return nil, err
	}
	return editionspb.Reply_builder{
		Message: fmt.Sprintf("%d stored", len(receipts)),
	}.Build(), nil
}
