// Package metrics counts what happens in a server, for Prometheus.
package metrics

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc/codes"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// Metrics are those of a server.
type Metrics struct {
	registry *prometheus.Registry
	handled  *prometheus.CounterVec
}

// New returns metrics, among them those of Go and of the process.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grpc_server_handled_total", Help: "Calls that ended, by the code that their callers got.",
		}, []string{"grpc_service", "grpc_method", "grpc_code"}),
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m.handled)
	return m
}

// Option makes a server count its calls, and serve the metrics as /metrics on the port
// of package ops.
func (m *Metrics) Option() server.Option {
	return server.Options(
		server.Observers(server.Observer{RPC: m.rpc}),
		server.Page("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})),
	)
}

// rpc returns what counts the calls of an RPC.
func (m *Metrics) rpc(call server.Call) server.RPCObserver {
	service, method, _ := strings.Cut(strings.TrimPrefix(call.Method, "/"), "/")
	var handled [codes.Unauthenticated + 1]prometheus.Counter
	for code := range handled {
		handled[code] = m.handled.WithLabelValues(service, method, codes.Code(code).String())
	}
	return server.RPCObserver{End: func(_ context.Context, code codes.Code, _ time.Duration) {
		handled[min(int(code), len(handled)-1)].Inc()
	}}
}
