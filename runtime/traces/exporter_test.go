package traces

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http/httptrace"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// TestTheCollectorIsNearbyByDefault: OpenTelemetry's defaults are plaintext.
func TestTheCollectorIsNearbyByDefault(t *testing.T) {
	for _, name := range append(otlpNames("ENDPOINT"), otlpNames("PROTOCOL")...) {
		t.Setenv(name, "")
	}
	for protocol, want := range map[string]string{"": "http://localhost:4318", "http/protobuf": "http://localhost:4318", "grpc": "http://localhost:4317"} {
		t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
		exporter, to, err := newExporter(t.Context())
		if err != nil || to != want {
			t.Errorf("%q: to %s, %v, want %s", protocol, to, err, want)
		}
		if protocol == "grpc" {
			continue // its errors don't say where to
		}
		ctx, cancel := context.WithCancel(t.Context())
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GetConn: func(string) { cancel() }}) // before it connects
		err = exporter.ExportSpans(ctx, tracetest.SpanStubs{{Name: "a"}}.Snapshots())
		if err == nil || !strings.Contains(err.Error(), `"`+want+`/v1/traces"`) {
			t.Errorf("%q: it sends elsewhere than to %s: %v", protocol, want, err)
		}
	}
}

// failing is an exporter that can't send.
type failing struct{}

func (failing) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	return errors.New("connection refused")
}

func (failing) Shutdown(context.Context) error { return errors.New("too late") }

// TestLastSpansThatAreLostSayWhy: where to, and the error of sending rather than of the end.
func TestLastSpansThatAreLostSayWhy(t *testing.T) {
	var lines bytes.Buffer
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(&lines, nil)))
	sending := &reporting{SpanExporter: failing{}, to: "http://collector:4318"}
	spans := &Spans{provider: sdktrace.NewTracerProvider(sdktrace.WithBatcher(sending)), sending: sending}
	_, span := spans.Provider().Tracer("mine").Start(t.Context(), "look up")
	span.End()
	spans.Close()
	want := `msg="the last spans may not have been sent" to=http://collector:4318 error="connection refused"`
	if !strings.Contains(lines.String(), want) {
		t.Errorf("logged:\n%s\nwant %s", lines.String(), want)
	}
}
