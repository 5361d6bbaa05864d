// Package traces sends spans of the calls of a server, and of its consumers, to a
// collector of OpenTelemetry by OTLP, if the environment asks for it by the standard
// variables: OTEL_EXPORTER_OTLP_ENDPOINT says where to, and the others have their
// defaults. Otherwise nothing is started, and nothing of it is in the path of a call.
//
// A collector that is slow or away never holds up a call: what it does not take in time
// is dropped, and that is logged. Nothing is set for the whole process.
package traces

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// Spans are those of a program. The zero value makes none.
type Spans struct {
	provider   *sdktrace.TracerProvider // nil: none are made
	sending    *reporting
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
}

// instrumentation is the name of what makes the spans of this package.
const instrumentation = "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/traces"

// Start begins to send spans of a service, if the environment asks for it: by
// OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, or "otlp" as
// OTEL_TRACES_EXPORTER. Otherwise what it returns makes no spans. A variable of
// OpenTelemetry that has a wrong value is an error, which names it.
//
// The service is named as the argument unless OTEL_SERVICE_NAME, or
// OTEL_RESOURCE_ATTRIBUTES, has another name.
func Start(ctx context.Context, service string) (*Spans, error) {
	asked, err := isAsked()
	if err != nil {
		return nil, err
	}
	if !asked {
		return &Spans{}, nil
	}
	if err := checkVariables(); err != nil {
		return nil, err
	}
	sampler, err := newSampler()
	if err != nil {
		return nil, err
	}
	propagator, err := newPropagator()
	if err != nil {
		return nil, err
	}
	of, err := newResource(ctx, service)
	if err != nil {
		return nil, err
	}
	exporter, to, err := newExporter(ctx)
	if err != nil {
		return nil, err
	}
	sending := &reporting{SpanExporter: exporter, to: to}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithResource(of), sdktrace.WithBatcher(sending))
	slog.InfoContext(ctx, "sending traces", "to", to, "sampler", cmp.Or(variable(samplers), defaultSampler))
	return &Spans{provider, sending, provider.Tracer(instrumentation), propagator}, nil
}

// Provider returns what makes the tracers of this program, for spans of your own: it
// sends them with those of the calls. If no spans are made, neither are those.
func (s *Spans) Provider() trace.TracerProvider {
	if s.provider == nil {
		return noop.NewTracerProvider()
	}
	return s.provider
}

// Propagator returns what puts a span into the metadata of a call, and takes it from
// there, as OTEL_PROPAGATORS says.
func (s *Spans) Propagator() propagation.TextMapPropagator {
	if s.provider == nil {
		return propagation.NewCompositeTextMapPropagator()
	}
	return s.propagator
}

// Option makes a server make a span for each call, except those of health and
// reflection. It is a child of the caller's span, if there is one, and is in the context
// of the handler.
func (s *Spans) Option() server.Option {
	if s.provider == nil {
		return server.Options()
	}
	return server.Observers(server.Observer{RPC: s.observe})
}

// closeTimeout is how long Close waits for the collector.
const closeTimeout = 3 * time.Second

// Close sends what was not sent yet, for which it waits 3 seconds at most.
func (s *Spans) Close() {
	if s.provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := s.provider.Shutdown(ctx); err != nil {
		slog.WarnContext(ctx, "the last spans may not have been sent", "to", s.sending.to, "error", cmp.Or(s.sending.lastError(), err))
	}
}
