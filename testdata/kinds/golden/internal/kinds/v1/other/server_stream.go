package other

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// ServerStream is not implemented yet.
func (s *Service) ServerStream(request *kindspb.ClickEvent, stream kindspb.Other_ServerStreamServer) error {
	return status.Error(codes.Unimplemented, "ServerStream is not implemented yet")
}
