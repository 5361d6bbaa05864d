package server

import (
	"context"
	"sync"

	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// watchedHealth is gRPC's own health service, but for one thing: there a client
// may watch for as long as it likes, and the server's end would wait for it.
// Here it is told that the server drains, and its call ends.
type watchedHealth struct {
	*health.Server
	draining context.Context
	begin    context.CancelFunc // of draining
	mu       sync.Mutex         // held while the status of all changes
}

func newWatchedHealth() *watchedHealth {
	draining, begin := context.WithCancel(context.Background())
	return &watchedHealth{Server: health.NewServer(), draining: draining, begin: begin}
}

// drain has every service be NOT_SERVING, and ends the watching.
func (h *watchedHealth) drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Shutdown()
	h.begin()
}

// ready has every service be SERVING, or NOT_SERVING, unless the server drains.
func (h *watchedHealth) ready(ready bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.draining.Err() != nil:
	case ready:
		h.Resume()
	default:
		h.Shutdown()
	}
}

// Watch sends the status of a service, and again whenever it changes, until
// the client leaves or the server drains.
func (h *watchedHealth) Watch(request *grpc_health_v1.HealthCheckRequest, stream grpc_health_v1.Health_WatchServer) error {
	ctx, cancel := UntilDrain(stream.Context())
	defer cancel()
	err := h.Server.Watch(request, watching{stream, ctx})
	if h.draining.Err() != nil {
		return stream.Send(&grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_NOT_SERVING})
	}
	return err
}

// watching is a stream that also ends when the server drains.
type watching struct {
	grpc_health_v1.Health_WatchServer
	ctx context.Context
}

func (w watching) Context() context.Context { return w.ctx }
