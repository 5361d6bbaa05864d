package other

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// NotTaken is not implemented yet.
func (s *Service) NotTaken(ctx context.Context, request *kindspb.ClickEvent) (*kindspb.Reply, error) {
	return nil, status.Error(codes.Unimplemented, "NotTaken is not implemented yet")
}
