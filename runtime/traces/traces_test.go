package traces_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/memory"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/traces"
)

// received is a collector that keeps the spans that it gets.
type received struct {
	collector.UnimplementedTraceServiceServer
	mu       sync.Mutex
	resource string // of the last request
	spans    []*otlp.Span
}

func (r *received) Export(_ context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range request.GetResourceSpans() {
		r.resource = of.GetResource().String()
		for _, scope := range of.GetScopeSpans() {
			r.spans = append(r.spans, scope.GetSpans()...)
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// all returns the spans that came, by when they began. The sender must be closed.
func (r *received) all() []*otlp.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.spans, func(a, b *otlp.Span) int { return int(a.GetStartTimeUnixNano()) - int(b.GetStartTimeUnixNano()) })
	return r.spans
}

// collect starts a collector, to which the environment directs traces.
func collect(t *testing.T, environment ...string) *received {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	all, s := &received{}, grpc.NewServer()
	collector.RegisterTraceServiceServer(s, all)
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(s.Stop)
	set(t, append([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + listener.Addr().String(), "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, environment...)...)
	return all
}

func set(t *testing.T, environment ...string) {
	t.Helper()
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
}

// service is a service that appends to a log.
type service struct {
	testpb.UnimplementedTestServiceServer
	log  eventlog.Log
	seen func(context.Context)
	err  error
}

func (s *service) UnaryCall(ctx context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if s.seen != nil {
		s.seen(ctx)
	}
	if s.err != nil {
		return nil, s.err
	}
	_, err := eventlog.AppendMessages(ctx, s.log, []*wrapperspb.StringValue{wrapperspb.String("a")}, func(*wrapperspb.StringValue) eventlog.Event {
		return eventlog.Event{Source: "shop", Type: "order.placed"}
	})
	return &testpb.SimpleResponse{}, err
}

// program is a server with a log, as a generated main makes it.
type program struct {
	*service
	spans  *traces.Spans
	client testpb.TestServiceClient
	conn   *grpc.ClientConn
}

func start(t *testing.T) *program {
	t.Helper()
	spans, err := traces.Start(t.Context(), "receiver-server")
	if err != nil {
		t.Fatal(err)
	}
	inner, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	p := &program{service: &service{log: eventlog.Observe(inner, spans.Log())}, spans: spans}
	config := server.Defaults("receiver-server")
	config.Addr, config.LogLevel = "127.0.0.1:0", slog.LevelError+1
	s, err := server.Listen(config, server.Service{Desc: &testpb.TestService_ServiceDesc, Impl: p.service}, spans.Option())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	go func() { _ = s.Serve(ctx) }()
	if p.conn, err = grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.conn.Close() })
	p.client = testpb.NewTestServiceClient(p.conn)
	return p
}

// call makes a call with metadata, as names and values.
func (p *program) call(t *testing.T, sent ...string) error {
	t.Helper()
	_, err := p.client.UnaryCall(metadata.AppendToOutgoingContext(t.Context(), sent...), &testpb.SimpleRequest{})
	return err
}

// consume consumes the log until a number of events were handled, or given up.
func (p *program) consume(t *testing.T, events int64, batches bool, handle func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		for ctx.Err() == nil {
			if stats, _ := p.log.Stats(ctx); len(stats.Consumers) == 1 && stats.Consumers[0].Lag == 0 && stats.Events == events {
				stop()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	options := []eventlog.ConsumeOption{eventlog.Tries(2), eventlog.Backoff(time.Millisecond, time.Millisecond), eventlog.Logger(slog.New(slog.DiscardHandler))}
	var err error
	if batches {
		err = eventlog.ConsumeBatches(ctx, p.log, "mailer", func(ctx context.Context, _ []eventlog.Record) error { return handle(ctx) }, options...)
	} else {
		err = eventlog.Consume(ctx, p.log, "mailer", func(ctx context.Context, _ eventlog.Record) error { return handle(ctx) }, options...)
	}
	if err != nil {
		t.Fatal(err)
	}
}

const (
	senderTrace = "0af7651916cd43dd8448eb211c80319c"
	senderSpan  = "b7ad6b7169203331"
	sampled     = "00-" + senderTrace + "-" + senderSpan + "-01"
	unsampled   = "00-" + senderTrace + "-" + senderSpan + "-00"
)

// attributesOf returns the attributes of a span, or of something in it, as text.
func attributesOf(of interface{ GetAttributes() []*common.KeyValue }) string {
	var all []string
	for _, attribute := range of.GetAttributes() {
		value := attribute.GetValue().GetStringValue()
		if value == "" {
			value = fmt.Sprint(attribute.GetValue().GetIntValue())
		}
		all = append(all, attribute.GetKey()+"="+value)
	}
	return strings.Join(all, " ")
}

// TestAConsumersSpanLinksToItsSenders: the span of a call is a child of the caller's, the
// handlers' contexts have theirs, and a consumer's links to the call's.
func TestAConsumersSpanLinksToItsSenders(t *testing.T) {
	all := collect(t, "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test")
	p := start(t)
	var called, handled trace.SpanContext
	p.seen = func(ctx context.Context) {
		called = trace.SpanContextFromContext(ctx)
		if baggage.FromContext(ctx).Member("shard").Value() != "7" {
			t.Errorf("the baggage is %v", baggage.FromContext(ctx))
		}
		_, child := p.spans.Provider().Tracer("mine").Start(ctx, "look up")
		child.End()
	}
	if err := p.call(t, "traceparent", sampled, "tracestate", "vendor=1", "baggage", "shard=7"); err != nil {
		t.Fatal(err)
	}
	if _, err := grpc_health_v1.NewHealthClient(p.conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	p.consume(t, 1, false, func(ctx context.Context) error {
		handled = trace.SpanContextFromContext(ctx)
		return nil
	})
	p.spans.Close()
	spans := all.all()
	if len(spans) != 3 { // and none of the health
		t.Fatalf("%d spans: %v", len(spans), spans)
	}
	call, own, consumer := spans[0], spans[1], spans[2]
	if hex.EncodeToString(call.GetTraceId()) != senderTrace || hex.EncodeToString(call.GetParentSpanId()) != senderSpan || call.GetTraceState() != "vendor=1" ||
		call.GetName() != "grpc.testing.TestService/UnaryCall" || call.GetKind() != otlp.Span_SPAN_KIND_SERVER || hex.EncodeToString(call.GetSpanId()) != called.SpanID().String() {
		t.Errorf("the call's span is %v", call)
	}
	for _, want := range []string{"rpc.system.name=grpc", "rpc.method=grpc.testing.TestService/UnaryCall", "rpc.response.status_code=OK", "client.address=127.0.0.1"} {
		if got := attributesOf(call); !strings.Contains(got, want) {
			t.Errorf("the call's span has the attributes %s, want %s", got, want)
		}
	}
	if !bytes.Equal(own.GetParentSpanId(), call.GetSpanId()) || own.GetName() != "look up" {
		t.Errorf("the handler's own span is %v", own)
	}
	if consumer.GetKind() != otlp.Span_SPAN_KIND_CONSUMER || consumer.GetName() != "process mailer" || len(consumer.GetParentSpanId()) != 0 ||
		bytes.Equal(consumer.GetTraceId(), call.GetTraceId()) || hex.EncodeToString(consumer.GetSpanId()) != handled.SpanID().String() {
		t.Errorf("the consumer's span is %v", consumer)
	}
	if links := consumer.GetLinks(); len(links) != 1 || !bytes.Equal(links[0].GetSpanId(), call.GetSpanId()) || !bytes.Equal(links[0].GetTraceId(), call.GetTraceId()) {
		t.Errorf("it links to %v, want the call's span %v", links, call)
	}
	for _, want := range []string{"messaging.system=eventlog", "messaging.operation.type=process", "messaging.consumer.group.name=mailer", "cloudevents.event_source=shop", "cloudevents.event_type=order.placed"} {
		if got := attributesOf(consumer); !strings.Contains(got, want) {
			t.Errorf("the consumer's span has the attributes %s, want %s", got, want)
		}
	}
	if !strings.Contains(all.resource, "receiver-server") || !strings.Contains(all.resource, "deployment.environment.name") {
		t.Errorf("the resource is %s", all.resource)
	}
}

// TestSpansSayHowCallsEnd, and only what the server is to blame for is an error.
func TestSpansSayHowCallsEnd(t *testing.T) {
	for err, want := range map[error]otlp.Status_StatusCode{
		status.Error(codes.NotFound, "no such order"):   otlp.Status_STATUS_CODE_UNSET,
		status.Error(codes.Unavailable, "come later"):   otlp.Status_STATUS_CODE_ERROR,
		errors.New("the password of the database is x"): otlp.Status_STATUS_CODE_ERROR,
	} {
		all := collect(t)
		p := start(t)
		p.err = err
		code := status.Code(p.call(t))
		p.spans.Close()
		spans := all.all()
		if len(spans) != 1 {
			t.Fatalf("%d spans", len(spans))
		}
		name := strings.ToUpper(map[codes.Code]string{codes.NotFound: "not_found", codes.Unavailable: "unavailable", codes.Internal: "internal"}[code])
		if got := attributesOf(spans[0]); spans[0].GetStatus().GetCode() != want || !strings.Contains(got, "status_code="+name) || strings.Contains(spans[0].String(), "password") {
			t.Errorf("%v: the span is %v", err, spans[0])
		}
	}
}

// TestSampling: a caller decides for its calls, and these for the consumers of what they
// send; the ratio is of calls without such a caller.
func TestSampling(t *testing.T) {
	for name, test := range map[string]struct {
		sampler string
		sent    []string
		want    int // spans, of a call and a consumer
	}{
		"all":                         {"", nil, 2},
		"a sampled caller":            {"parentbased_always_off", []string{"traceparent", sampled}, 2},
		"an unsampled caller":         {"parentbased_always_on", []string{"traceparent", unsampled}, 0},
		"none":                        {"parentbased_always_off", nil, 0},
		"really none":                 {"always_off", []string{"traceparent", sampled}, 0},
		"really all":                  {"always_on", []string{"traceparent", unsampled}, 2},
		"a ratio of none":             {"parentbased_traceidratio", nil, 0},
		"a ratio of none, but caller": {"parentbased_traceidratio", []string{"traceparent", sampled}, 2},
		"two callers":                 {"", []string{"traceparent", unsampled, "traceparent", unsampled}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			all := collect(t, "OTEL_TRACES_SAMPLER="+test.sampler, "OTEL_TRACES_SAMPLER_ARG=0")
			p := start(t)
			if err := p.call(t, test.sent...); err != nil {
				t.Fatal(err)
			}
			p.consume(t, 1, false, func(context.Context) error { return nil })
			p.spans.Close()
			if got := all.all(); len(got) != test.want {
				t.Errorf("%d spans, want %d: %v", len(got), test.want, got)
			}
		})
	}
}

// TestASpanSaysWhatBecomesOfEvents that the handler failed with, one by one and of a batch.
func TestASpanSaysWhatBecomesOfEvents(t *testing.T) {
	all := collect(t, "OTEL_TRACES_SAMPLER=parentbased_always_off")
	p := start(t)
	var events []eventlog.Event
	for i := range 200 {
		events = append(events, eventlog.Event{ID: fmt.Sprint(i), Type: "t", Subject: "jerry", Schema: "s",
			Traceparent: fmt.Sprintf("00-%032x-%016x-01", i/2+1, i/2+1)})
	}
	if _, err := p.log.Append(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	tries := 0
	p.consume(t, 200, true, func(context.Context) error {
		if tries++; tries <= 3 {
			return errors.New("no route")
		}
		return nil
	})
	p.spans.Close()
	linked, retried, given := 0, 0, 0
	for _, span := range all.all() {
		linked += len(span.GetLinks())
		for _, event := range span.GetEvents() {
			switch event.GetName() {
			case "retry":
				retried++
			case "dead letter":
				given++
			}
			if got := attributesOf(event); !strings.Contains(got, "messaging.message.id=") || !strings.Contains(got, "eventlog.tries=") {
				t.Errorf("the event %s has the attributes %s", event.GetName(), got)
			}
		}
		if (len(span.GetEvents()) > 0) != (span.GetStatus().GetCode() == otlp.Status_STATUS_CODE_ERROR) {
			t.Errorf("the span is %v", span)
		}
	}
	if retried == 0 || given == 0 || linked == 0 {
		t.Errorf("%d links, %d retries, %d dead letters", linked, retried, given)
	}
}

// TestACollectorThatIsAwayHoldsUpNothing: calls and consumers go on, and it is logged
// once, and at the end how many more were lost.
func TestACollectorThatIsAwayHoldsUpNothing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	var lines bytes.Buffer
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(&lines, nil)))
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		lines.Reset()
		set(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+listener.Addr().String(), "OTEL_EXPORTER_OTLP_PROTOCOL="+protocol, "OTEL_EXPORTER_OTLP_TIMEOUT=50",
			"OTEL_BSP_SCHEDULE_DELAY=1", "OTEL_BSP_MAX_QUEUE_SIZE=16", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=8")
		p := start(t)
		for range 100 {
			if err := p.call(t); err != nil {
				t.Fatal(err)
			}
		}
		handled := 0
		p.consume(t, 100, true, func(context.Context) error { handled++; return nil })
		p.spans.Close()
		if text := lines.String(); handled == 0 || !slices.Contains([]int{1, 2}, strings.Count(text, "spans could not be sent, and are lost")) || !strings.Contains(text, listener.Addr().String()) {
			t.Errorf("%s: handled %d, logged:\n%s", protocol, handled, text)
		}
	}
}

// TestNothingIsTracedUnlessTheEnvironmentAsksForIt, and then nothing of it is in the path
// of a call.
func TestNothingIsTracedUnlessTheEnvironmentAsksForIt(t *testing.T) {
	for _, environment := range [][]string{
		{},
		{"OTEL_SERVICE_NAME=shop", "OTEL_TRACES_SAMPLER=nonsense"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317", "OTEL_SDK_DISABLED=true"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317", "OTEL_TRACES_EXPORTER=none"},
	} {
		set(t, "OTEL_EXPORTER_OTLP_ENDPOINT=", "OTEL_SDK_DISABLED=", "OTEL_TRACES_EXPORTER=")
		set(t, environment...)
		p := start(t)
		var span trace.SpanContext
		p.seen = func(ctx context.Context) {
			span = trace.SpanContextFromContext(ctx)
			_, own := p.spans.Provider().Tracer("mine").Start(ctx, "look up")
			own.End()
		}
		if err := p.call(t, "traceparent", sampled); err != nil || span.IsValid() {
			t.Errorf("%v: span %v, %v", environment, span, err)
		}
		observer := p.spans.Log()
		if observer.Handling != nil || observer.Traceparent != nil || observer.Failed != nil || len(p.spans.Propagator().Fields()) != 0 {
			t.Errorf("%v: it observes", environment)
		}
		// What the sender sent is kept all the same: consumers may be traced elsewhere.
		for record, err := range p.log.Read(t.Context(), eventlog.From{}) {
			if err != nil || record.Traceparent != sampled {
				t.Errorf("%v: stored %q, %v", environment, record.Traceparent, err)
			}
		}
		p.spans.Close()
	}
}

func TestAWrongVariableIsNamed(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for _, test := range []struct{ variable, says string }{
		{"OTEL_SDK_DISABLED=perhaps", "OTEL_SDK_DISABLED=perhaps: want true or false"},
		{"OTEL_TRACES_EXPORTER=jaeger", "OTEL_TRACES_EXPORTER=jaeger: want otlp or none"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4317", "OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4317: want a URL such as http://localhost:4317"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://: want a URL"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://jerry:secret@localhost", "OTEL_EXPORTER_OTLP_ENDPOINT: want a URL"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL=thrift", "OTEL_EXPORTER_OTLP_PROTOCOL=thrift: want grpc or http/protobuf"},
		{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=GRPC", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=GRPC: want"},
		{"OTEL_EXPORTER_OTLP_HEADERS=secret", "OTEL_EXPORTER_OTLP_HEADERS: header 1 is not NAME=VALUE"},
		{"OTEL_EXPORTER_OTLP_HEADERS=a=b,secret=%zz", "OTEL_EXPORTER_OTLP_HEADERS: header 2 is not NAME=VALUE"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE=" + none, "OTEL_EXPORTER_OTLP_CERTIFICATE: open " + none},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE=traces_test.go", "OTEL_EXPORTER_OTLP_CERTIFICATE: traces_test.go has no certificate in PEM"},
		{"OTEL_EXPORTER_OTLP_CLIENT_KEY=" + none, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY belong together"},
		{"OTEL_EXPORTER_OTLP_TIMEOUT=10s", "OTEL_EXPORTER_OTLP_TIMEOUT=10s: want a number of milliseconds"},
		{"OTEL_EXPORTER_OTLP_COMPRESSION=zstd", "OTEL_EXPORTER_OTLP_COMPRESSION=zstd: want gzip or none"},
		{"OTEL_EXPORTER_OTLP_INSECURE=si", "OTEL_EXPORTER_OTLP_INSECURE=si: want true or false"},
		{"OTEL_BSP_SCHEDULE_DELAY=-1", "OTEL_BSP_SCHEDULE_DELAY=-1: want a number of milliseconds"},
		{"OTEL_BSP_MAX_QUEUE_SIZE=many", "OTEL_BSP_MAX_QUEUE_SIZE=many: want a number of spans"},
		{"OTEL_SPAN_LINK_COUNT_LIMIT=x", "OTEL_SPAN_LINK_COUNT_LIMIT=x: want a number"},
		{"OTEL_TRACES_SAMPLER=always", "OTEL_TRACES_SAMPLER=always: want always_on, always_off"},
		{"OTEL_TRACES_SAMPLER_ARG=1%", "OTEL_TRACES_SAMPLER_ARG=1%: want a number from 0 to 1"},
		{"OTEL_TRACES_SAMPLER_ARG=NaN", "OTEL_TRACES_SAMPLER_ARG=NaN: want a number from 0 to 1"},
		{"OTEL_PROPAGATORS=tracecontext,b3", "OTEL_PROPAGATORS=b3: want tracecontext, baggage or none"},
		{"OTEL_RESOURCE_ATTRIBUTES=shop", "OTEL_RESOURCE_ATTRIBUTES: "},
	} {
		t.Run(test.variable, func(t *testing.T) {
			set(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317")
			if strings.HasPrefix(test.variable, "OTEL_TRACES_SAMPLER_ARG") {
				set(t, "OTEL_TRACES_SAMPLER=parentbased_traceidratio")
			}
			set(t, test.variable)
			spans, err := traces.Start(t.Context(), "receiver-server")
			if err == nil || !strings.Contains(err.Error(), test.says) || spans != nil {
				t.Errorf("got %v, want that %s", err, test.says)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("%v has what may be secret", err)
			}
		})
	}
}
