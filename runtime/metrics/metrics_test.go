package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/memory"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/metrics"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

const testTimeout = time.Minute

// gather returns the value of each series: of histograms the count. A series is named as
// in text, with its labels in their order.
func gather(t *testing.T, m *metrics.Metrics) map[string]float64 {
	t.Helper()
	families, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.Metric {
			values[series(family, metric)] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return values
}

func series(family *dto.MetricFamily, metric *dto.Metric) string {
	var labels []string
	for _, label := range metric.Label {
		labels = append(labels, fmt.Sprintf("%s=%q", label.GetName(), label.GetValue()))
	}
	return strings.TrimSuffix(family.GetName()+"{"+strings.Join(labels, ",")+"}", "{}")
}

// await gathers until a series has a value, since what is counted last may be so after
// its caller has the answer.
func await(t *testing.T, m *metrics.Metrics, name string, want float64) map[string]float64 {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); ; time.Sleep(time.Millisecond) {
		values := gather(t, m)
		if got, ok := values[name]; ok && got == want {
			return values
		} else if time.Now().After(deadline) {
			t.Fatalf("%s is %v (%v), want %v", name, got, ok, want)
		}
	}
}

// service answers with the status that a request asks for.
type service struct {
	testpb.UnimplementedTestServiceServer
}

func (service) UnaryCall(_ context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if asked := request.ResponseStatus; asked != nil {
		return nil, status.Error(codes.Code(asked.Code), asked.Message)
	}
	return &testpb.SimpleResponse{}, nil
}

func (service) FullDuplexCall(stream testpb.TestService_FullDuplexCallServer) error {
	for {
		if _, err := stream.Recv(); err != nil {
			return nil
		}
		if err := stream.Send(&testpb.StreamingOutputCallResponse{}); err != nil {
			return err
		}
	}
}

// serve starts a server with metrics, and returns a connection to it.
func serve(t *testing.T, m *metrics.Metrics, options ...server.Option) *grpc.ClientConn {
	t.Helper()
	config := server.Defaults("test-server")
	config.Addr, config.MaxMessageBytes, config.LogLevel = "127.0.0.1:0", 10_000, slog.LevelError+1
	s, err := server.Listen(config, append(options, server.Service{Desc: &testpb.TestService_ServiceDesc, Impl: service{}}, m.Option())...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

const unary = `{grpc_method="UnaryCall",grpc_service="grpc.testing.TestService"}`

func code(name string) string {
	return `grpc_server_handled_total{grpc_code="` + name + `",` + unary[1:]
}

func TestCallsAreCountedByRPCAndCode(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	conn := serve(t, m, server.Needs("met", func(context.Context) error { return nil }), server.Needs("missing", func(context.Context) error { return errors.New("no") }))
	values := gather(t, m)
	for name := range map[string]bool{code("OK"): true, code("DataLoss"): true, `grpc_server_refused_total{reason="undecodable"}`: true, `grpc_server_limits_reached_total{limit="--max-calls"}`: true} {
		if value, ok := values[name]; !ok || value != 0 {
			t.Errorf("before the first call %s is %v (%v), want it to begin at zero", name, value, ok)
		}
	}
	before := len(values)
	client := testpb.NewTestServiceClient(conn)
	ask := func(code int32) {
		_, _ = client.UnaryCall(t.Context(), &testpb.SimpleRequest{ResponseStatus: &testpb.EchoStatus{Code: code}})
	}
	for range 3 {
		if _, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	ask(int32(codes.NotFound))
	ask(12345) // no code that gRPC knows
	stream, err := client.FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&testpb.StreamingOutputCallRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	values = await(t, m, "grpc_server_handling_seconds"+unary, 5)
	for name, want := range map[string]float64{
		code("OK"): 3, code("NotFound"): 1, code("Unknown"): 1, code("Internal"): 0,
		"grpc_server_calls": 1, "grpc_server_connections": 1,
		`grpc_server_ready{need="missing"}`: 0,
	} {
		if values[name] != want {
			t.Errorf("%s is %v, want %v", name, values[name], want)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	await(t, m, "grpc_server_calls", 0)
	await(t, m, `grpc_server_ready{need="met"}`, 1)

	// What comes from callers makes no series.
	for i := range 20 {
		_ = conn.Invoke(t.Context(), fmt.Sprintf("/other.Service/Call%d", i), &testpb.SimpleRequest{}, &testpb.SimpleResponse{})
	}
	_, _ = client.UnaryCall(t.Context(), &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, 20_000)}})
	values = await(t, m, `grpc_server_refused_total{reason="unknown RPC"}`, 20)
	if values[`grpc_server_refused_total{reason="too large"}`] != 1 || values[`grpc_server_limits_reached_total{limit="--max-message-bytes"}`] != 1 || values[code("ResourceExhausted")] != 1 {
		t.Error("a request that is too large is not counted")
	}
	if len(values) != before {
		t.Errorf("%d series became %d", before, len(values))
	}
}

// Scrapers get what they ask for: text, OpenMetrics, or protobuf with native histograms.
func TestFormats(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	page := &page{}
	conn := serve(t, m, page.option())
	if _, err := testpb.NewTestServiceClient(conn).UnaryCall(t.Context(), &testpb.SimpleRequest{}); err != nil {
		t.Fatal(err)
	}
	await(t, m, code("OK"), 1)
	text := page.scrape(t, "")
	for _, line := range []string{code("OK") + " 1\n", `grpc_server_handling_seconds_bucket{grpc_method="UnaryCall",grpc_service="grpc.testing.TestService",le="30"} 1` + "\n", "go_goroutines ", "process_cpu_seconds_total ", "go_build_info{"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("the text lacks %q", line)
		}
	}
	if open := page.scrape(t, "application/openmetrics-text; version=1.0.0"); !strings.HasSuffix(string(open), "# EOF\n") {
		t.Error("OpenMetrics has no end")
	}
	reader := strings.NewReader(string(page.scrape(t, "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")))
	native := false
	for {
		family := &dto.MetricFamily{}
		if err := protodelim.UnmarshalFrom(reader, family); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, metric := range family.Metric {
			if series(family, metric) == "grpc_server_handling_seconds"+unary {
				native = metric.Histogram.GetSchema() == 3 && len(metric.Histogram.PositiveSpan) == 1
			}
		}
	}
	if !native {
		t.Error("protobuf has no native histogram")
	}
}

// Names and types are as Prometheus wants them.
func TestNamesAreThoseThatPrometheusWants(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	page := &page{}
	log := open(t, "memory:")
	observed := eventlog.Observe(log, m.Log(log))
	serve(t, m, page.option(), server.Needs("event log", observed.Check))
	problems, err := promlint.New(strings.NewReader(string(page.scrape(t, "")))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

// page is a port that serves the pages of a server, as package ops does.
type page struct{ server *httptest.Server }

func (p *page) option() server.Option { return server.Ports(p) }

func (p *page) Open(s *server.Server) error {
	mux := http.NewServeMux()
	s.Pages(mux.Handle)
	p.server = httptest.NewServer(mux)
	return nil
}

func (p *page) Serve() error { return nil }
func (p *page) Drain()       {}
func (p *page) Close()       { p.server.Close() }

func (p *page) scrape(t *testing.T, accept string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.server.URL+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", accept)
	answer, err := p.server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%d %s %v", answer.StatusCode, body, err)
	}
	return body
}

func open(t *testing.T, url string) eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

func event(id string) eventlog.Event {
	return eventlog.Event{ID: id, Source: "shop", Type: "placed", Subject: id, Schema: "shop.Order", Data: []byte(id)}
}

func TestTheLogIsCounted(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	raw := eventlog.Observe(open(t, "sqlite:"+filepath.Join(t.TempDir(), "events.db")), eventlog.Observer{}) // by others before, and after
	log := eventlog.Observe(raw, m.Log(raw))
	log = eventlog.Observe(log, eventlog.Observer{})
	values := gather(t, m)
	if values["eventlog_up"] != 1 || values["eventlog_free_bytes"] <= 0 || values[`eventlog_appended_events_total{result="conflict"}`] != 0 || values["eventlog_last_append_timestamp_seconds"] != 0 {
		t.Errorf("at first: %v", values)
	}
	append := func(events ...eventlog.Event) { _, _ = log.Append(t.Context(), events...) }
	append(event("a"), event("b"), event("c"))
	append(event("a"), event("d"))
	other := event("a")
	other.Data = []byte("other")
	append(other, event("e"))
	append(event(""))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = log.Append(ended, event("f"))
	values = await(t, m, "eventlog_events", 4)
	for name, want := range map[string]float64{
		`eventlog_appended_events_total{result="stored"}`:    4,
		`eventlog_appended_events_total{result="duplicate"}`: 1,
		`eventlog_appended_events_total{result="conflict"}`:  2,
		`eventlog_appended_events_total{result="invalid"}`:   1,
		`eventlog_appended_events_total{result="canceled"}`:  1,
		"eventlog_append_seconds":                            5,
		"eventlog_commit_seconds":                            2,
		"eventlog_commit_events":                             2,
	} {
		if values[name] != want {
			t.Errorf("%s is %v, want %v", name, values[name], want)
		}
	}
	stored := event("a")
	if got := values["eventlog_committed_bytes_total"]; got != float64(4*stored.Size()) {
		t.Errorf("%v bytes are committed, want %d", got, 4*stored.Size())
	}
	if values["eventlog_bytes"] <= 0 || time.Since(time.Unix(int64(values["eventlog_last_append_timestamp_seconds"]), 0)) > time.Hour {
		t.Errorf("%v", values)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	append(event("g"))
	values = await(t, m, "eventlog_up", 0)
	if values[`eventlog_appended_events_total{result="unavailable"}`] != 1 {
		t.Error("an append to a closed log is not counted")
	}
	if _, ok := values["eventlog_events"]; ok {
		t.Error("the events of a log that does not answer are known")
	}
}

func TestConsumersAreCounted(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	raw := open(t, "memory:")
	log := eventlog.Observe(raw, m.Log(raw))
	for _, id := range []string{"good", "flaky", "bad", "held"} {
		if _, err := log.Append(t.Context(), event(id)); err != nil {
			t.Fatal(err)
		}
	}
	var oldest time.Time
	for record, err := range log.Read(t.Context(), eventlog.After(3)) {
		if err != nil {
			t.Fatal(err)
		}
		oldest = record.Recorded
	}
	var mu sync.Mutex
	tries := map[string]int{}
	release := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- eventlog.Consume(ctx, log, "mailer", func(_ context.Context, record eventlog.Record) error {
			mu.Lock()
			tries[record.ID]++
			try := tries[record.ID]
			mu.Unlock()
			switch {
			case record.ID == "flaky" && try == 1:
				return errors.New("not now")
			case record.ID == "bad":
				return errors.New("never")
			case record.ID == "held":
				<-release
			}
			return nil
		}, eventlog.Tries(3), eventlog.Backoff(time.Millisecond, time.Millisecond), eventlog.Logger(slog.New(slog.DiscardHandler)))
	}()
	of := func(name string) string { return name + `{consumer="mailer"}` }
	values := await(t, m, of("eventlog_consumer_lag_events"), 1)
	for name, want := range map[string]float64{
		of("eventlog_consumer_handled_events_total"):               2,
		of("eventlog_consumer_retries_total"):                      3, // one of flaky, two of bad
		of("eventlog_consumer_gave_up_total"):                      1,
		of("eventlog_consumer_dead_letters"):                       1,
		of("eventlog_consumer_running"):                            1,
		of("eventlog_consumer_oldest_unhandled_timestamp_seconds"): float64(oldest.UnixMicro()) / 1e6,
	} {
		if values[name] != want {
			t.Errorf("%s is %v, want %v", name, values[name], want)
		}
	}
	close(release)
	await(t, m, of("eventlog_consumer_oldest_unhandled_timestamp_seconds"), 0)
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	await(t, m, of("eventlog_consumer_running"), 0)
}

// stuck is a log whose figures don't come.
type stuck struct {
	eventlog.Log
	asked   chan struct{}
	release chan struct{}
}

func (s stuck) Stats(ctx context.Context) (eventlog.Stats, error) {
	s.asked <- struct{}{}
	<-s.release
	return s.Log.Stats(ctx)
}

// A log that does not answer fails no scrape, and is asked once however many there are.
func TestALogThatHangsFailsNoScrape(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	log := stuck{open(t, "memory:"), make(chan struct{}, 100), make(chan struct{})}
	_ = m.Log(log)
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			values := gather(t, m)
			if up, ok := values["eventlog_up"]; !ok || up != 0 || len(values) < 30 {
				t.Errorf("eventlog_up is %v of %d series", up, len(values))
			}
		})
	}
	group.Wait()
	if asked := len(log.asked); asked != 1 {
		t.Errorf("the log is asked %d times at once", asked)
	}
	close(log.release)
	await(t, m, "eventlog_up", 1)
}

// Metrics of one's own are beside them.
func TestOwnMetrics(t *testing.T) {
	m := metrics.New()
	orders := prometheus.NewCounter(prometheus.CounterOpts{Name: "orders_total", Help: "Orders."})
	m.Registry().MustRegister(orders)
	orders.Inc()
	if values := gather(t, m); values["orders_total"] != 1 {
		t.Error("the counter is not there")
	}
}
