package other

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// Unary answers how often a name was counted.
func (s *Service) Unary(ctx context.Context, request *kindspb.Reply) (*kindspb.Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	count, ok := s.counts[request.GetMessage()]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "nobody has counted %q", request.GetMessage())
	}
	return &kindspb.Reply{Message: request.GetMessage(), Count: count}, nil
}
