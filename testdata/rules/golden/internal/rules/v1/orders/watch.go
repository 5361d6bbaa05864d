package orders

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// Watch is not implemented yet.
func (s *Service) Watch(request *rulesv1.WatchRequest, stream rulesv1.Orders_WatchServer) error {
	return status.Error(codes.Unimplemented, "Watch is not implemented yet")
}
