package ops

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	grpchealth "google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// testTimeout bounds how long a test waits for what must happen.
const testTimeout = time.Minute

// health is a service for those tests that call none.
var health = server.Service{Desc: &grpc_health_v1.Health_ServiceDesc, Impl: grpchealth.NewServer()}

// running is a server with an ops port.
type running struct {
	*server.Server
	port  *port
	log   *buffer
	stop  context.CancelFunc
	ended chan error
}

// buffer is a log that is read while it is written.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *buffer) has(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Contains(b.text.String(), text)
}

func serve(t *testing.T, config Config, options ...server.Option) *running {
	t.Helper()
	r := &running{port: &port{config: config}, log: &buffer{}, ended: make(chan error, 1)}
	c := server.Defaults("test-server")
	c.Addr, c.DrainTimeout = "127.0.0.1:0", testTimeout
	s, err := server.Listen(c, append(options, health, server.Ports(r.port), server.Logger(slog.New(slog.NewTextHandler(r.log, nil))))...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r.Server, r.stop = s, stop
	go func() { r.ended <- s.Serve(ctx) }()
	t.Cleanup(func() { stop(); r.end(t) })
	return r
}

// end waits until the server has ended.
func (r *running) end(t *testing.T) {
	t.Helper()
	select {
	case err := <-r.ended:
		if err != nil {
			t.Error(err)
		}
		r.ended <- nil
	case <-time.After(testTimeout):
		t.Error("the server doesn't end")
	}
}

// ask sends a request, and returns the status and the text of the answer.
func (r *running) ask(t *testing.T, method, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.port.listener.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// awaitReadiness asks whether the server is ready until it answers with a status.
func (r *running) awaitReadiness(t *testing.T, status int) (answer readiness) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); ; time.Sleep(5 * time.Millisecond) {
		got, text := r.ask(t, "GET", "/readyz")
		if got == status {
			if err := json.Unmarshal([]byte(text), &answer); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			return answer
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %d: %s", got, text)
		}
	}
}

// A server is ready while all its needs are met, and says which are not, and why.
func TestReadinessSaysWhyNot(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	broken := errors.New("the disk is full")
	r := serve(t, Config{Addr: "127.0.0.1:0"},
		server.Needs("event log", func(context.Context) error { mu.Lock(); defer mu.Unlock(); return broken }),
		server.Needs("other", func(context.Context) error { return nil }))
	begin := time.Now().Add(-time.Minute)
	for {
		answer := r.awaitReadiness(t, http.StatusServiceUnavailable)
		if len(answer.Needs) == 2 && strings.Contains(answer.Needs[0].Why, "not been checked") || !answer.Needs[1].Met {
			continue
		}
		log, other := answer.Needs[0], answer.Needs[1]
		if answer.Ready || answer.Draining || log.Name != "event log" || log.Met || log.Why != broken.Error() || log.Since.Before(begin) {
			t.Errorf("without its log: %+v", answer)
		}
		if other.Name != "other" || !other.Met || other.Why != "" || other.Since.Before(begin) {
			t.Errorf("the other need: %+v", other)
		}
		break
	}
	mu.Lock()
	broken = nil
	mu.Unlock()
	if answer := r.awaitReadiness(t, http.StatusOK); !answer.Ready || !answer.Needs[0].Met || answer.Needs[0].Why != "" {
		t.Errorf("with its log: %+v", answer)
	}
}

// held is a service with a call that goes on until it is let go.
type held struct {
	testpb.UnimplementedTestServiceServer
	entered, leave chan struct{}
}

func (h *held) UnaryCall(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	close(h.entered)
	<-h.leave
	return &testpb.SimpleResponse{}, nil
}

// The port answers while the server drains: it lives, is not ready, and has metrics.
func TestThePortAnswersUntilTheServerHasDrained(t *testing.T) {
	t.Parallel()
	service := &held{entered: make(chan struct{}), leave: make(chan struct{})}
	r := serve(t, Config{Addr: "127.0.0.1:0"},
		server.Service{Desc: &testpb.TestService_ServiceDesc, Impl: service},
		server.Page("GET /metrics", http.HandlerFunc(func(to http.ResponseWriter, _ *http.Request) { _, _ = to.Write([]byte("a 1\n")) })))
	conn, err := grpc.NewClient(r.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	called := make(chan error, 1)
	go func() {
		_, err := testpb.NewTestServiceClient(conn).UnaryCall(t.Context(), &testpb.SimpleRequest{})
		called <- err
	}()
	<-service.entered
	r.stop()
	if answer := r.awaitReadiness(t, http.StatusServiceUnavailable); answer.Ready || !answer.Draining || len(answer.Needs) != 0 {
		t.Errorf("while it drains: %+v", answer)
	}
	if status, text := r.ask(t, "GET", "/livez"); status != http.StatusOK || text != "ok\n" {
		t.Errorf("/livez while it drains: %d %q", status, text)
	}
	if status, text := r.ask(t, "GET", "/metrics"); status != http.StatusOK || text != "a 1\n" {
		t.Errorf("/metrics while it drains: %d %q", status, text)
	}
	close(service.leave)
	if err := <-called; err != nil {
		t.Error(err)
	}
	r.end(t)
	if conn, err := net.Dial("tcp", r.port.listener.Addr().String()); err == nil {
		conn.Close()
		t.Error("the port is open after the end")
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	page := http.HandlerFunc(func(to http.ResponseWriter, _ *http.Request) { _, _ = to.Write([]byte("mine")) })
	plain := serve(t, Config{Addr: "127.0.0.1:0"}, server.Page("GET /mine", page))
	profiled := serve(t, Config{Addr: "127.0.0.1:0", Pprof: true})
	for _, test := range []struct {
		of           *running
		method, path string
		status       int
		text         string // that the answer contains
	}{
		{plain, "GET", "/", 200, "/livez\n/mine\n/readyz\n"},
		{plain, "GET", "/mine", 200, "mine"},
		{plain, "HEAD", "/livez", 200, ""},
		{plain, "POST", "/livez", 405, ""},
		{plain, "PUT", "/readyz", 405, ""},
		{plain, "DELETE", "/mine", 405, ""},
		{plain, "GET", "/other", 404, ""},
		{plain, "GET", "/debug/pprof/", 404, ""},
		{plain, "GET", "/debug/pprof/heap", 404, ""},
		{profiled, "GET", "/", 200, "/debug/pprof/\n/livez\n/readyz\n"},
		{profiled, "GET", "/debug/pprof/", 200, "goroutine"},
		{profiled, "GET", "/debug/pprof/goroutine?debug=1", 200, "goroutine profile"},
		{profiled, "GET", "/debug/pprof/cmdline", 200, "ops"},
		{profiled, "POST", "/debug/pprof/heap", 405, ""},
	} {
		if status, text := test.of.ask(t, test.method, test.path); status != test.status || !strings.Contains(text, test.text) {
			t.Errorf("%s %s: %d %q, want %d %q", test.method, test.path, status, text, test.status, test.text)
		}
	}
	if plain.log.has("profile") || profiled.log.has("profile") {
		t.Error("a port of this machine alone is warned of")
	}
}

func TestPublicProfilesAreWarnedOf(t *testing.T) {
	t.Parallel()
	if r := serve(t, Config{Addr: "0.0.0.0:0", Pprof: true}); !r.log.has("--pprof") {
		t.Error("there is no warning")
	}
	if r := serve(t, Config{Addr: "0.0.0.0:0"}); r.log.has("--pprof") {
		t.Error("there is a warning of profiles that are off")
	}
}

func TestAnAddressInUse(t *testing.T) {
	t.Parallel()
	if taken, err := net.Listen("tcp", DefaultAddr); err == nil { // else another program has it
		defer taken.Close()
	}
	r := serve(t, Config{Addr: DefaultAddr})
	if !r.log.has("another program has the default address") || r.port.listener != nil {
		t.Error("the default address is not warned of")
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := server.Defaults("test-server")
	c.Addr = "127.0.0.1:0"
	config := Config{Addr: taken.Addr().String()}
	if _, err := server.Listen(c, health, config.Option()); err == nil || !strings.Contains(err.Error(), "--ops-addr "+config.Addr+" is in use") {
		t.Errorf("an address that was asked for: %v", err)
	}
	config.Addr = "127.0.0.1:0"
	for _, pattern := range []string{"GET /livez", "GET  /{", ""} {
		if _, err := server.Listen(c, health, config.Option(), server.Page(pattern, http.NotFoundHandler())); err == nil || !strings.Contains(err.Error(), "server.Page") {
			t.Errorf("the pattern %q: %v", pattern, err)
		}
	}
}

// Connections that say nothing keep no probe out.
func TestIdleConnectionsLockNobodyOut(t *testing.T) {
	t.Parallel()
	r := serve(t, Config{Addr: "127.0.0.1:0"})
	var first net.Conn
	for range mostConnections + 10 {
		conn, err := net.Dial("tcp", r.port.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if first == nil {
			first = conn
		}
	}
	if status, _ := r.ask(t, "GET", "/livez"); status != http.StatusOK {
		t.Errorf("a probe gets %d", status)
	}
	_ = first.SetReadDeadline(time.Now().Add(headerTimeout / 2)) // before its own time is over
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the first connection: %v, want it closed to make room", err)
	}
}

func TestFlags(t *testing.T) {
	var config Config
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	config.Flags(flags)
	if config != (Config{Addr: DefaultAddr}) {
		t.Errorf("by default: %+v", config)
	}
	if err := flags.Parse([]string{"--ops-addr", "", "--pprof"}); err != nil || config != (Config{Pprof: true}) {
		t.Errorf("%v, %+v", err, config)
	}
	c := server.Defaults("test-server")
	c.Addr = "127.0.0.1:0"
	if _, err := server.Listen(c, health, config.Option()); err == nil || !strings.Contains(err.Error(), "--pprof serves profiles at --ops-addr, which is empty") {
		t.Errorf("profiles without the port: %v", err)
	}
	config.Pprof = false
	if _, err := server.Listen(c, health, config.Option()); err != nil {
		t.Errorf("without the port: %v", err)
	}
}
