package orders

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// Talk is not implemented yet.
func (s *Service) Talk(stream rulesv1.Orders_TalkServer) error {
	return status.Error(codes.Unimplemented, "Talk is not implemented yet")
}
