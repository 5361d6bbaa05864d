package legacy

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb"
)

// Watch is not implemented yet.
func (s *Service) Watch(request *legacypb.Receipt, stream legacypb.Legacy_WatchServer) error {
	return status.Error(codes.Unimplemented, "Watch is not implemented yet")
}
