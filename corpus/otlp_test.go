package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/protobuf/proto"
)

// export is an implementation of Export as a user would write it: it writes what came
// to a file of the signal's name. Compression by gzip must be linked into the server.
const export = `package SIGNALservice

import (
	"context"
	"os"

	signal "go.opentelemetry.io/proto/otlp/collector/SIGNAL/v1"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/protobuf/encoding/protojson"
)

func (s *Service) Export(ctx context.Context, request *signal.ExportTITLEServiceRequest) (*signal.ExportTITLEServiceResponse, error) {
	if err := os.WriteFile("SIGNAL.json", []byte(protojson.Format(request)), 0o644); err != nil {
		return nil, err
	}
	return &signal.ExportTITLEServiceResponse{}, nil
}
`

// TestOpenTelemetryFeedsOneProgram generates one program of the three services of
// OTLP, which are three proto packages, and has the exporters of OpenTelemetry's Go
// SDK send it a span, a metric and a log record, compressed as in production.
func TestOpenTelemetryFeedsOneProgram(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := otlpModule(ctx, t)
	addr := serveOTLP(ctx, t, dir)

	spans, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(addr), otlptracegrpc.WithInsecure(), otlptracegrpc.WithCompressor("gzip"))
	if err != nil {
		t.Fatal(err)
	}
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	_, span := tracer.Tracer("shop").Start(ctx, "order taken")
	span.End()

	metrics, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(addr), otlpmetricgrpc.WithInsecure(), otlpmetricgrpc.WithCompressor("gzip"))
	if err != nil {
		t.Fatal(err)
	}
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics)))
	counter, err := meter.Meter("shop").Int64Counter("orders.taken")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(ctx, 3)

	records, err := otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(addr), otlploggrpc.WithInsecure(), otlploggrpc.WithCompressor("gzip"))
	if err != nil {
		t.Fatal(err)
	}
	logger := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewSimpleProcessor(records)))
	var record log.Record
	record.SetBody(attribute.StringValue("an order was taken"))
	logger.Logger("shop").Emit(ctx, record)

	for _, shutdown := range []func(context.Context) error{tracer.Shutdown, meter.Shutdown, logger.Shutdown} {
		if err := shutdown(ctx); err != nil {
			t.Error(err)
		}
	}
	for signal, want := range map[string]string{"trace": "order taken", "metrics": "orders.taken", "logs": "an order was taken"} {
		if text, err := os.ReadFile(filepath.Join(dir, signal+".json")); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("of %s came %s (%v), want %s", signal, text, err, want)
		}
	}
}

// otlpModule generates a module with one program of OTLP's services, and writes their
// implementations.
func otlpModule(ctx context.Context, t *testing.T) (dir string) {
	t.Helper()
	modules, err := find(ctx)
	if err != nil {
		t.Fatal(err)
	}
	otlp := modules[slices.IndexFunc(modules, func(m Module) bool { return m.Name == "otlp" })]
	request, err := otlp.request(ctx)
	if err != nil {
		t.Fatal(err)
	}
	request.Parameter = proto.String(strings.Trim(request.GetParameter()+",program=otlp", ","))
	g, err := newGenerator(ctx, "..", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(g.into, "otlp")
	if err := g.generate(ctx, dir, request); err != nil {
		t.Fatal(err)
	}
	for signal, title := range map[string]string{"trace": "Trace", "metrics": "Metrics", "logs": "Logs"} {
		code := strings.NewReplacer("SIGNAL", signal, "TITLE", title).Replace(export)
		name := filepath.Join("internal/opentelemetry/proto/collector", signal, "v1", signal+"service", "export.go")
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Fatal(err) // it replaces the skeleton
		}
		if err := write(dir, name, []byte(code)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// serveOTLP runs the program on a free port until the test ends, and returns the
// address.
func serveOTLP(ctx context.Context, t *testing.T, dir string) string {
	t.Helper()
	if _, err := goOutput(ctx, dir, "build", "-o", "server", "./cmd/otlp-server"); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	server := exec.Command(filepath.Join(dir, "server"), "--addr", addr)
	server.Dir, server.Stderr = dir, t.Output()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Signal(os.Interrupt)
		if err := server.Wait(); err != nil {
			t.Error(err)
		}
	})
	for {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return addr
		}
		if ctx.Err() != nil {
			t.Fatal("the server does not listen")
		}
		time.Sleep(20 * time.Millisecond)
	}
}
