package other

import (
	"context"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// NotTaken counts the user of an event.
func (s *Service) NotTaken(ctx context.Context, request *kindspb.ClickEvent) (*kindspb.Reply, error) {
	return &kindspb.Reply{Message: request.GetUserId(), Count: s.add(request.GetUserId(), 1)}, nil
}
