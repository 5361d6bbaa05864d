package orders

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// Collect is not implemented yet.
func (s *Service) Collect(stream rulesv1.Orders_CollectServer) error {
	return status.Error(codes.Unimplemented, "Collect is not implemented yet")
}
