package intake

import (
	"context"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// Held stores the event and then acknowledges it.
func (s *Service) Held(ctx context.Context, request *kindspb.HeldRequest) (*kindspb.Reply, error) {
	if _, err := s.events.AppendClickEvent(ctx, request.GetEvent()); err != nil {
		return nil, err
	}
	return &kindspb.Reply{Count: 1, Message: "stored"}, nil
}
