package server

import (
	"context"

	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// watchedHealth is gRPC's health service with one change. In gRPC's own, a
// client may watch for as long as it likes, and a server that drains waits for
// it. Here the client gets NOT_SERVING when the server drains, and its call
// ends.
type watchedHealth struct {
	*health.Server
	draining context.Context
	drain    context.CancelFunc // begins draining
}

func newWatchedHealth() *watchedHealth {
	draining, drain := context.WithCancel(context.Background())
	return &watchedHealth{Server: health.NewServer(), draining: draining, drain: drain}
}

// setHealth sets the status of a service, unless the server stops.
func setHealth(of *health.Server, service string, ready bool) {
	status := grpc_health_v1.HealthCheckResponse_NOT_SERVING
	if ready {
		status = grpc_health_v1.HealthCheckResponse_SERVING
	}
	of.SetServingStatus(service, status)
}

// Watch sends the status of a service, and sends it again whenever it changes,
// until the client leaves or the server drains.
func (h *watchedHealth) Watch(request *grpc_health_v1.HealthCheckRequest, stream grpc_health_v1.Health_WatchServer) error {
	ctx, cancel := UntilDrain(stream.Context())
	defer cancel()
	err := h.Server.Watch(request, watching{stream, ctx})
	if h.draining.Err() != nil {
		return stream.Send(&grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_NOT_SERVING})
	}
	return err
}

// watching is a stream whose context also ends when the server drains.
type watching struct {
	grpc_health_v1.Health_WatchServer
	ctx context.Context
}

func (w watching) Context() context.Context { return w.ctx }
