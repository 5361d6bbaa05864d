package health

import (
	"testing"

	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/grpc/health/v1/grpc_health_v1server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/grpc/health/v1/grpc_health_v1test"
)

// newService makes the service for every test, as main does.
func newService(testing.TB) *Service {
	return New()
}

// serve runs the service, and returns a client of it.
func serve(t testing.TB) grpc_health_v1.HealthClient {
	return grpc_health_v1test.Serve(t, grpc_health_v1server.Health(newService(t))).Health()
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	grpc_health_v1test.HealthContract{
		NewService: func(t testing.TB) grpc_health_v1.HealthServer { return newService(t) },
	}.Test(t)
}
