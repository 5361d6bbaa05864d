package intake

import (
	"context"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// One stores the event and then acknowledges it.
func (s *Service) One(ctx context.Context, event *kindspb.ClickEvent) (*kindspb.Reply, error) {
	if _, err := s.events.AppendClickEvent(ctx, event); err != nil {
		return nil, err
	}
	return &kindspb.Reply{Count: 1, Message: "stored"}, nil
}
