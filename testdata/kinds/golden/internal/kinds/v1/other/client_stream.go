package other

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// ClientStream is not implemented yet.
func (s *Service) ClientStream(stream kindspb.Other_ClientStreamServer) error {
	return status.Error(codes.Unimplemented, "ClientStream is not implemented yet")
}
