package devices

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb"
)

// Register is not implemented yet.
func (s *Service) Register(ctx context.Context, request *fleetpb.Device) (*fleetpb.Device, error) {
	return nil, status.Error(codes.Unimplemented, "Register is not implemented yet")
}
