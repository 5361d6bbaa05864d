package orders

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// Get is not implemented yet.
func (s *Service) Get(ctx context.Context, request *rulesv1.AllRules) (*rulesv1.Placed, error) {
	return nil, status.Error(codes.Unimplemented, "Get is not implemented yet")
}
