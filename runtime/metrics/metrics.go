// Package metrics counts what happens in a server and in its event log, for Prometheus.
// Its labels are RPCs of the proto, codes of gRPC, limits, needs and consumers: none has a
// value that comes from a caller, so their number does not grow with what is sent.
package metrics

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc/codes"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// Metrics are those of a server. One Metrics is for one server and one event log.
type Metrics struct {
	registry *prometheus.Registry
	handled  *prometheus.CounterVec
	handling *prometheus.HistogramVec
	refused  *prometheus.CounterVec
	limits   *prometheus.CounterVec
	calls    atomic.Int64 // under way
	server   atomic.Pointer[server.Server]
}

// New returns metrics, among them those of Go, of the process and of the build.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grpc_server_handled_total", Help: "Calls that ended, by the code that their callers got.",
		}, []string{"grpc_service", "grpc_method", "grpc_code"}),
		handling: prometheus.NewHistogramVec(seconds("grpc_server_handling_seconds",
			"How long calls took, from their headers to their end. A stream takes as long as it is open."),
			[]string{"grpc_service", "grpc_method"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grpc_server_refused_total", Help: "Calls that ended before a handler had their requests, by the reason.",
		}, []string{"reason"}),
		limits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grpc_server_limits_reached_total", Help: "How often clients reached a limit of the server, which is named as its flag.",
		}, []string{"limit"}),
	}
	preset(m.refused, server.Refusals())
	preset(m.limits, server.Limits())
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector(),
		m.handled, m.handling, m.refused, m.limits, serverCollector{m},
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "grpc_server_calls", Help: "Calls under way."},
			func() float64 { return float64(m.calls.Load()) }),
	)
	return m
}

// Registry returns the registry of the metrics, for those of your own.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Option makes a server count its calls, and serve the metrics as /metrics on the port of
// package ops: as text, as OpenMetrics, or as protobuf with native histograms, whichever
// the scraper asks for.
func (m *Metrics) Option() server.Option {
	return server.Options(
		server.Observers(server.Observer{
			RPC:       m.rpc,
			Refused:   func(why string) { m.refused.WithLabelValues(why).Inc() },
			Limit:     func(limit string) { m.limits.WithLabelValues(limit).Inc() },
			Listening: m.server.Store,
		}),
		server.Page("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
			EnableOpenMetrics: true, MaxRequestsInFlight: mostScrapes, ErrorHandling: promhttp.ContinueOnError,
		})),
	)
}

// mostScrapes is how many scrapes may be under way at once.
const mostScrapes = 4

// seconds returns the options of a histogram of durations. Scrapers that know native
// histograms get those, with buckets that are 10 % wide; others get the classic buckets.
func seconds(name, help string) prometheus.HistogramOpts {
	return histogram(name, help, []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30})
}

func histogram(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}
}

// preset returns a counter for each value of a label. They begin at zero: what counts
// from one on has no increase for Prometheus.
func preset(counters *prometheus.CounterVec, values []string) map[string]prometheus.Counter {
	by := map[string]prometheus.Counter{}
	for _, value := range values {
		by[value] = counters.WithLabelValues(value)
	}
	return by
}

// rpc returns what counts the calls of an RPC. It looks up the counters once, since a
// look-up by labels would cost a call more than to count.
func (m *Metrics) rpc(call server.Call) server.RPCObserver {
	service, method, _ := strings.Cut(strings.TrimPrefix(call.Method, "/"), "/")
	handling := m.handling.WithLabelValues(service, method)
	var handled [codes.Unauthenticated + 1]prometheus.Counter
	for code := range handled {
		handled[code] = m.handled.WithLabelValues(service, method, codes.Code(code).String())
	}
	return server.RPCObserver{
		Begin: func(ctx context.Context) context.Context {
			m.calls.Add(1)
			return ctx
		},
		End: func(_ context.Context, code codes.Code, took time.Duration) {
			m.calls.Add(-1)
			if int(code) >= len(handled) {
				code = codes.Unknown // which is what callers make of it
			}
			handled[code].Inc()
			handling.Observe(took.Seconds())
		},
	}
}

// serverCollector asks the server for figures when metrics are scraped.
type serverCollector struct{ of *Metrics }

var (
	connectionsDesc = prometheus.NewDesc("grpc_server_connections", "Connections that are open, of callers.", nil, nil)
	readyDesc       = prometheus.NewDesc("grpc_server_ready", "Whether a need of the server is met: 1 or 0.", []string{"need"}, nil)
	notAfterDesc    = prometheus.NewDesc("grpc_server_certificate_not_after_timestamp_seconds",
		"When the certificate of the server ends, or one that leads from it to its root.", nil, nil)
	reloadFailuresDesc = prometheus.NewDesc("grpc_server_reload_failures_total",
		"How often files of the server had changed and could not be used.", []string{"files"}, nil)
)

// Describe implements [prometheus.Collector].
func (serverCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{connectionsDesc, readyDesc, notAfterDesc, reloadFailuresDesc} {
		descs <- desc
	}
}

// Collect implements [prometheus.Collector].
func (c serverCollector) Collect(to chan<- prometheus.Metric) {
	of := c.of.server.Load()
	if of == nil {
		return
	}
	stats := of.Stats()
	gauge(to, connectionsDesc, float64(stats.Connections))
	if ends := stats.CertificateEnds; !ends.IsZero() {
		gauge(to, notAfterDesc, timestamp(ends))
	}
	for name, files := range stats.Files {
		to <- prometheus.MustNewConstMetric(reloadFailuresDesc, prometheus.CounterValue, float64(files.Failures), name)
	}
	needs, _ := of.Readiness()
	for _, need := range needs {
		gauge(to, readyDesc, truth(need.Err == nil), need.Name)
	}
}

func gauge(to chan<- prometheus.Metric, desc *prometheus.Desc, value float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

// truth returns 1 for what is so, and 0 for what is not.
func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// timestamp returns a time in seconds since 1970, or 0 for none.
func timestamp(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return float64(at.UnixMicro()) / 1e6
}
