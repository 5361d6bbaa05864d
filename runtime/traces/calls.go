package traces

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// The attributes of spans, by the semantic conventions 1.43.0 of OpenTelemetry. They are
// named here because the package of all conventions is a megabyte of source.
const (
	rpcSystem     = attribute.Key("rpc.system.name")
	rpcMethod     = attribute.Key("rpc.method")
	rpcStatus     = attribute.Key("rpc.response.status_code")
	errorType     = attribute.Key("error.type")
	clientAddress = attribute.Key("client.address")
	clientPort    = attribute.Key("client.port")
)

// observe returns what makes the spans of an RPC.
func (s *Spans) observe(call server.Call) server.RPCObserver {
	if call.Own {
		return server.RPCObserver{}
	}
	name := strings.TrimPrefix(call.Method, "/")
	start := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(rpcMethod.String(name))}
	return server.RPCObserver{
		Begin: func(ctx context.Context) context.Context {
			ctx, span := s.tracer.Start(s.propagator.Extract(ctx, incoming{ctx}), name, start...)
			if !span.IsRecording() {
				return ctx
			}
			span.SetAttributes(rpcSystem.String(system(ctx)))
			if from, ok := peer.FromContext(ctx); ok {
				if address, ok := from.Addr.(*net.TCPAddr); ok {
					span.SetAttributes(clientAddress.String(address.IP.String()), clientPort.Int(address.Port))
				}
			}
			return logged(ctx, span)
		},
		End: func(ctx context.Context, code codes.Code, _ time.Duration) {
			span := trace.SpanFromContext(ctx)
			if span.IsRecording() {
				name := codeName(code)
				span.SetAttributes(rpcStatus.String(name))
				if isServersFault(code) {
					span.SetStatus(otelcodes.Error, "")
					span.SetAttributes(errorType.String(name))
				}
			}
			span.End()
		},
	}
}

// logged returns a context with which what is logged says which trace it is of.
func logged(ctx context.Context, span trace.Span) context.Context {
	return server.WithLogAttrs(ctx, slog.Any("trace_id", loggedTrace(span.SpanContext().TraceID())))
}

// loggedTrace is the id of a trace, which becomes text only if something is logged.
type loggedTrace trace.TraceID

// LogValue implements [slog.LogValuer].
func (id loggedTrace) LogValue() slog.Value { return slog.StringValue(trace.TraceID(id).String()) }

// incoming is the metadata that came with a call.
type incoming struct{ context.Context }

// Get implements propagation.TextMapCarrier.
func (i incoming) Get(key string) string {
	switch values := metadata.ValueFromIncomingContext(i.Context, key); {
	case len(values) == 1:
		return values[0]
	case len(values) > 1 && key != "traceparent": // of which there must be one
		return strings.Join(values, ",")
	}
	return ""
}

// Set and Keys implement propagation.TextMapCarrier. Nothing is written to metadata that
// came in.
func (i incoming) Set(string, string) {}
func (i incoming) Keys() []string     { return nil }

// system returns by which protocol a call came.
func system(ctx context.Context) string {
	kind := metadata.ValueFromIncomingContext(ctx, "content-type")
	if len(kind) == 1 && strings.HasPrefix(kind[0], "application/grpc") {
		return "grpc"
	}
	return "connectrpc"
}

// isServersFault reports whether a code makes the span of a server an error.
func isServersFault(code codes.Code) bool {
	switch code {
	case codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss:
		return true
	}
	return code > codes.Unauthenticated // which clients take for Unknown
}

// codeNames are the names of codes as the protocol of gRPC spells them.
var codeNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
	"UNAUTHENTICATED",
}

func codeName(code codes.Code) string {
	if int(code) < len(codeNames) {
		return codeNames[code]
	}
	return code.String()
}
