package other

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// Bidi is not implemented yet.
func (s *Service) Bidi(stream kindspb.Other_BidiServer) error {
	return status.Error(codes.Unimplemented, "Bidi is not implemented yet")
}
