package orders

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// Find is not implemented yet.
func (s *Service) Find(request *rulesv1.AllRules, stream rulesv1.Orders_FindServer) error {
	return status.Error(codes.Unimplemented, "Find is not implemented yet")
}
