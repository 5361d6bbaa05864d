package devices

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/two-files/golden/gen/fleet/v2beta1/fleetpb"
)

// TestRegister sends the request in testdata/register.json. The service may
// refuse it, with a code that shows the caller what to do.
func TestRegister(t *testing.T) {
	client, _ := serve(t)
	reply, err := client.Register(t.Context(), servertest.Request[*fleetpb.Device](t, "testdata/register.json"))
	if status.Code(err) == codes.Unimplemented {
		t.Skip("Register is not implemented yet: write it in register.go")
	}
	if !servertest.Refused(t, err) {
		t.Log(reply) // check here what it must be
	}
}

func BenchmarkRegister(b *testing.B) {
	client, _ := serve(b)
	requests := servertest.Requests[*fleetpb.Device](b, "testdata/register.json")
	for b.Loop() {
		if _, err := client.Register(b.Context(), requests()); err != nil {
			b.Skip(err) // it is not implemented, or testdata/register.json is refused
		}
	}
}
