// Package health implements the service grpc.health.v1.Health, one file per RPC.
package health

import "google.golang.org/grpc/health/grpc_health_v1"

// Service implements grpc_health_v1.HealthServer.
//
// A service whose messages another module has.
type Service struct {
	grpc_health_v1.UnimplementedHealthServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}
