package devices

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb"
)

// TestRegister expects Unimplemented until Register is implemented.
func TestRegister(t *testing.T) {
	client, _ := serve(t)
	_, err := client.Register(t.Context(), servertest.Sample[*fleetpb.Device]())
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}
