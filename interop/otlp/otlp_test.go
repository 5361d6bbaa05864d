package otlp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"

	"example.com/receiver/gen/receiverpb"
	"example.com/receiver/gen/receiverpb/receiverclient"
)

// program is the demo's server.
var program string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "otlp")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		program = filepath.Join(dir, "receiver-server")
		build := exec.Command("go", "build", "-o", program, "./cmd/receiver-server")
		build.Dir, build.Stderr = "../../examples/receiver", os.Stderr
		if err := build.Run(); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

// timeout is how long a test waits for what should come soon.
const timeout = 30 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	return ctx
}

func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// collector is the receiver of OpenTelemetry's collector.
type collector struct {
	consumertest.TracesSink
	grpc, http string // its addresses
}

// start starts the receiver, configured as its collector would be.
func (c *collector) start(t *testing.T) {
	t.Helper()
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	err := confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{
		"grpc": map[string]any{"endpoint": c.grpc}, "http": map[string]any{"endpoint": c.http},
	}}).Unmarshal(config)
	if err != nil {
		t.Fatal(err)
	}
	receiver, err := factory.CreateTraces(t.Context(), receivertest.NewNopSettings(factory.Type()), config, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := receiver.Start(context.WithoutCancel(t.Context()), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = receiver.Shutdown(context.Background()) })
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	return &collector{grpc: freeAddr(t), http: freeAddr(t)}
}

// span is a span with the name of its service.
type span struct {
	ptrace.Span
	service string
}

// spans returns what came, by kind.
func (c *collector) spans() map[ptrace.SpanKind][]span {
	all := map[ptrace.SpanKind][]span{}
	for _, traces := range c.AllTraces() {
		for _, of := range traces.ResourceSpans().All() {
			service, _ := of.Resource().Attributes().Get("service.name")
			for _, scope := range of.ScopeSpans().All() {
				for _, s := range scope.Spans().All() {
					all[s.Kind()] = append(all[s.Kind()], span{s, service.AsString()})
				}
			}
		}
	}
	return all
}

// process is a server under way.
type process struct {
	addr, http string
	command    *exec.Cmd
	printed    *printed
}

type printed struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *printed) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(text)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// serve starts the demo's server with variables of the environment.
func serve(t *testing.T, environment ...string) *process {
	t.Helper()
	p := &process{addr: freeAddr(t), http: freeAddr(t), printed: &printed{}}
	p.command = exec.Command(program, "--addr", p.addr, "--http-addr", p.http, "--ops-addr", "", "--events", "sqlite:"+filepath.Join(t.TempDir(), "events.db"))
	p.command.Env = append(os.Environ(), environment...)
	p.command.Stderr = p.printed
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.command.Process.Kill() })
	eventually(t, "the server serves", func() bool { return strings.Contains(p.printed.String(), "msg=serving") })
	return p
}

// stop stops the server, which sends what it has not sent yet.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.command.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, p.printed)
	}
}

// handled waits until a number of events were handled by the demo's consumer.
func (p *process) handled(t *testing.T, events int) {
	t.Helper()
	eventually(t, "all events are handled", func() bool { return strings.Count(p.printed.String(), "msg=stored") >= events })
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(timeout); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never comes that " + what)
		}
	}
}

// traced returns an option by which the generated client sends its span with each call, as
// docs/traces.md has it, and which sends the span to the collector.
func traced(t *testing.T, to *collector, sampler sdktrace.Sampler) receiverclient.Option {
	t.Helper()
	exporter, err := otlptracegrpc.New(t.Context(), otlptracegrpc.WithEndpoint(to.grpc), otlptracegrpc.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter), sdktrace.WithSampler(sampler))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	return receiverclient.With(grpc.WithStatsHandler(otelgrpc.NewClientHandler(
		otelgrpc.WithTracerProvider(provider), otelgrpc.WithPropagators(propagation.TraceContext{}))))
}

func dial(t *testing.T, addr string, options ...receiverclient.Option) *receiverclient.Client {
	t.Helper()
	client, err := receiverclient.Dial(within(t), addr, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func send(t *testing.T, client *receiverclient.Client) {
	t.Helper()
	if _, err := client.Receiver().Receive(within(t), &receiverpb.Event{Appid: "demo", Xwho: "jerry", Xwhat: "install"}); err != nil {
		t.Fatal(err)
	}
}

// post sends an event by HTTP, with a trace parent.
func (p *process) post(t *testing.T, traceparent string) {
	t.Helper()
	request, err := http.NewRequestWithContext(within(t), http.MethodPost, "http://"+p.http+"/Receiver/receive", strings.NewReader(`{"appid":"demo","xwho":"jerry","xwhat":"install"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("traceparent", traceparent)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", response.StatusCode, body)
	}
}

// environments direct a server's spans to a collector, in all ways that there are.
func (c *collector) environments() map[string][]string {
	return map[string][]string{
		"grpc":                     {"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + c.grpc, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"},
		"grpc, gzip":               {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://" + c.grpc, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip"},
		"http/protobuf":            {"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + c.http},
		"http/protobuf, gzip":      {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://" + c.http + "/v1/traces", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip"},
		"OTEL_TRACES_EXPORTER too": {"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=http://" + c.http, "OTEL_EXPORTER_OTLP_HEADERS=api-key=a%20b"},
	}
}

// TestSpansOfAnEventsWay: that of the client, its child of the server, and one of the
// consumer that links to the server's, whichever way the call and the spans go.
func TestSpansOfAnEventsWay(t *testing.T) {
	for _, name := range ways(t) {
		t.Run(name, func(t *testing.T) {
			collector := newCollector(t)
			collector.start(t)
			server := serve(t, append(collector.environments()[name], "OTEL_SERVICE_NAME=shop", "OTEL_BSP_SCHEDULE_DELAY=100")...)
			send(t, dial(t, server.addr, traced(t, collector, sdktrace.AlwaysSample())))
			const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
			server.post(t, "00-"+trace+"-"+parent+"-01")
			server.handled(t, 2)
			server.stop(t)

			all := collector.spans()
			clients, servers, consumers := all[ptrace.SpanKindClient], all[ptrace.SpanKindServer], all[ptrace.SpanKindConsumer]
			if len(clients) != 1 || len(servers) != 2 || len(consumers) != 2 {
				t.Fatalf("%d spans of clients, %d of the server, %d of consumers; want 1, 2, 2\n%s", len(clients), len(servers), len(consumers), server.printed)
			}
			for i, want := range []struct{ trace, parent, system string }{
				{clients[0].TraceID().String(), clients[0].SpanID().String(), "grpc"}, {trace, parent, "connectrpc"},
			} {
				call, consumer := servers[i], consumers[i]
				if call.TraceID().String() != want.trace || call.ParentSpanID().String() != want.parent || call.Name() != "Receiver/receive" || call.service != "shop" {
					t.Errorf("call %d: the span %s has the trace %s and the parent %s, want %s and %s", i, call.Name(), call.TraceID(), call.ParentSpanID(), want.trace, want.parent)
				}
				if system, _ := call.Attributes().Get("rpc.system.name"); system.AsString() != want.system {
					t.Errorf("call %d came by %s, want %s", i, system.AsString(), want.system)
				}
				if consumer.Links().Len() != 1 || consumer.Links().At(0).SpanID() != call.SpanID() || consumer.Links().At(0).TraceID() != call.TraceID() {
					t.Errorf("the consumer's span %d does not link to the call's", i)
				}
				if group, _ := consumer.Attributes().Get("messaging.consumer.group.name"); group.AsString() != "Receiver" || !consumer.ParentSpanID().IsEmpty() {
					t.Errorf("the consumer's span %d is %v", i, consumer.Attributes().AsRaw())
				}
			}
		})
	}
}

// ways returns the ways by which spans go to a collector: with -short, one of each
// protocol.
func ways(t *testing.T) []string {
	t.Helper()
	if testing.Short() {
		return []string{"grpc, gzip", "http/protobuf"}
	}
	return []string{"grpc", "grpc, gzip", "http/protobuf", "http/protobuf, gzip", "OTEL_TRACES_EXPORTER too"}
}

// TestCallersDecideWhatIsSampled: of calls and of the consumers of what they sent.
func TestCallersDecideWhatIsSampled(t *testing.T) {
	collector := newCollector(t)
	collector.start(t)
	server := serve(t, append(collector.environments()["grpc"], "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0")...)
	clients := []*receiverclient.Client{
		dial(t, server.addr, traced(t, collector, sdktrace.AlwaysSample())), dial(t, server.addr, traced(t, collector, sdktrace.NeverSample())), dial(t, server.addr),
	}
	const each = 20
	for range each {
		for _, client := range clients {
			send(t, client)
		}
	}
	server.handled(t, len(clients)*each)
	server.stop(t)
	all := collector.spans()
	if calls, consumers := all[ptrace.SpanKindServer], all[ptrace.SpanKindConsumer]; len(calls) != each || len(consumers) != each {
		t.Errorf("%d calls and %d consumers were sampled, want %d of each", len(calls), len(consumers), each)
	}
}

// TestTheCollectorMayBeAway: calls go on, the server's log says once that spans are lost, and
// when the collector is there, it gets the next ones.
func TestTheCollectorMayBeAway(t *testing.T) {
	collector := newCollector(t)
	server := serve(t, append(collector.environments()["grpc"], "OTEL_BSP_SCHEDULE_DELAY=10", "OTEL_EXPORTER_OTLP_TIMEOUT=100")...)
	client := dial(t, server.addr)
	sent := 0
	eventually(t, "it is logged that spans are lost", func() bool {
		sent++
		send(t, client)
		return strings.Contains(server.printed.String(), "spans could not be sent, and are lost")
	})
	collector.start(t)
	eventually(t, "the collector gets spans", func() bool {
		sent++
		send(t, client)
		return collector.SpanCount() > 0
	})
	server.handled(t, sent)
	server.stop(t)
	if text := server.printed.String(); strings.Count(text, "spans could not be sent") != 1 || !strings.Contains(text, "spans are sent again") {
		t.Errorf("it printed:\n%s", text)
	}
}

// TestAServerWithAWrongVariableDoesNotStart.
func TestAServerWithAWrongVariableDoesNotStart(t *testing.T) {
	command := exec.Command(program, "--addr", freeAddr(t), "--events", "memory:")
	command.Env = append(os.Environ(), "OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4317")
	output, err := command.CombinedOutput()
	if want := "receiver-server: OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4317: want a URL such as http://localhost:4317\n"; err == nil || string(output) != want {
		t.Errorf("got %v and %q, want %q", err, output, want)
	}
}

// TestACallerFindsItsCallInTheLog by its own id.
func TestACallerFindsItsCallInTheLog(t *testing.T) {
	server := serve(t, "RECEIVER_SERVER_LOG_LEVEL=debug")
	id := fmt.Sprint("report-", time.Now().UnixNano())
	send(t, dial(t, server.addr, receiverclient.Header("x-request-id", id)))
	eventually(t, "the call is logged", func() bool { return strings.Contains(server.printed.String(), "request_id="+id) })
	server.stop(t)
}
