package web

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// service is what tests call. Its functions may be nil.
type service struct {
	testpb.UnimplementedTestServiceServer
	unary  func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error)
	tail   func(*testpb.StreamingOutputCallRequest, testpb.TestService_StreamingOutputCallServer) error
	upload func(testpb.TestService_StreamingInputCallServer) error
	both   func(testpb.TestService_FullDuplexCallServer) error
}

func (s *service) UnaryCall(ctx context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if s.unary == nil {
		return &testpb.SimpleResponse{Username: "for " + string(request.GetPayload().GetBody())}, nil
	}
	return s.unary(ctx, request)
}

func (s *service) StreamingOutputCall(request *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
	return s.tail(request, stream)
}

func (s *service) StreamingInputCall(stream testpb.TestService_StreamingInputCallServer) error {
	return s.upload(stream)
}

func (s *service) FullDuplexCall(stream testpb.TestService_FullDuplexCallServer) error {
	return s.both(stream)
}

const (
	unaryPath  = "/grpc.testing.TestService/UnaryCall"
	tailPath   = "/grpc.testing.TestService/StreamingOutputCall"
	uploadPath = "/grpc.testing.TestService/StreamingInputCall"
	bothPath   = "/grpc.testing.TestService/FullDuplexCall"
)

// running is a server that answers by HTTP until the test ends.
type running struct {
	*server.Server
	port *port
	url  string
	log  *lines
	stop func() error // and returns the error of Serve
}

// serveTest serves a service. change may be nil.
func serveTest(t *testing.T, s *service, change func(*server.Config, *Config), options ...server.Option) *running {
	t.Helper()
	config, web := server.Defaults("test-server"), Config{Addr: "localhost:0"}
	config.DrainTimeout, config.ReceiveTimeout = time.Minute, time.Minute // which a busy machine may need
	config.Addr = "localhost:0"
	config.LogLevel = slog.LevelDebug
	if change != nil {
		change(&config, &web)
	}
	p := &port{config: web}
	logged := &lines{}
	options = append(options, server.Service{Desc: &testpb.TestService_ServiceDesc, Impl: s}, server.Ports(p),
		server.Logger(config.Logger(logged)))
	listening, err := server.Listen(config, options...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- listening.Serve(ctx) }()
	stopped := false
	stop := func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() { _ = stop() })
	return &running{listening, p, "http://" + p.listener.Addr().String(), logged, stop}
}

// protocolClient returns a client of HTTP/1.1, or of HTTP/2 without encryption.
func protocolClient(t *testing.T, two bool) *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!two)
	transport.Protocols.SetUnencryptedHTTP2(two)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// post posts JSON, with headers as names and values in turn.
func post(t *testing.T, client *http.Client, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return do(t, client, request)
}

func do(t *testing.T, client *http.Client, request *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(answer)
}

func TestUnaryCallsByJSON(t *testing.T) {
	for _, two := range []bool{false, true} {
		s := serveTest(t, &service{}, nil)
		response, answer := post(t, protocolClient(t, two), s.url+unaryPath, `{"payload":{"body":"aGVyIQ=="}}`)
		if response.StatusCode != http.StatusOK || !strings.Contains(answer, `"username":"for her!"`) || response.ProtoMajor == 2 != two {
			t.Errorf("%s: %s: %s", response.Proto, response.Status, answer)
		}
		if !strings.Contains(answer, `"oauthScope":""`) {
			t.Errorf("fields without a value are left out: %s", answer)
		}
	}
}

// lines collects what is logged.
type lines struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *lines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(text)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}
