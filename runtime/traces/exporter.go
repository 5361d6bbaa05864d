package traces

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// newExporter returns the exporter that the environment describes, and where it sends
// to. It does not connect yet.
func newExporter(ctx context.Context) (exporter sdktrace.SpanExporter, to string, err error) {
	to = otlp("ENDPOINT")
	if otlp("PROTOCOL") == "grpc" {
		var options []otlptracegrpc.Option
		if to == "" { // OpenTelemetry's default, which is not that of the exporter
			to = "http://localhost:4317"
			options = append(options, otlptracegrpc.WithEndpointURL(to))
		}
		exporter, err = otlptracegrpc.New(ctx, options...)
		return exporter, to, err
	}
	var options []otlptracehttp.Option
	if to == "" {
		to = "http://localhost:4318"
		options = append(options, otlptracehttp.WithEndpointURL(to+"/v1/traces"))
	}
	exporter, err = otlptracehttp.New(ctx, options...)
	return exporter, to, err
}

// reportEvery is how often it is logged that spans are lost.
const reportEvery = time.Minute

// reporting is an exporter that logs what it can't send, instead of the handler of errors
// that OpenTelemetry has for the whole process.
type reporting struct {
	sdktrace.SpanExporter
	to string

	mu       sync.Mutex
	lost     int // since it was logged
	reported time.Time
	err      error // the last; nil once spans are sent again
}

// Shutdown implements [sdktrace.SpanExporter].
func (r *reporting) Shutdown(ctx context.Context) error {
	err := r.SpanExporter.Shutdown(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost > 0 {
		r.report(ctx)
	}
	return err
}

// lastError returns why spans could not be sent the last time; nil if they were.
func (r *reporting) lastError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// report logs how many spans were lost since it was last logged. The lock is held.
func (r *reporting) report(ctx context.Context) {
	slog.WarnContext(ctx, "spans could not be sent, and are lost", "spans", r.lost, "to", r.to, "error", r.err)
	r.lost, r.reported = 0, time.Now()
}

// ExportSpans implements [sdktrace.SpanExporter].
func (r *reporting) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := r.SpanExporter.ExportSpans(ctx, spans)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.err = err
		if r.lost += len(spans); time.Since(r.reported) >= reportEvery {
			r.report(ctx)
		}
	case !r.reported.IsZero():
		slog.InfoContext(ctx, "spans are sent again", "lost_meanwhile", r.lost, "to", r.to)
		r.lost, r.reported, r.err = 0, time.Time{}, nil
	}
	return nil
}
