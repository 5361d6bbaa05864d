package web

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

func TestAServerThatStopsLetsCallsByHTTPFinish(t *testing.T) {
	for _, two := range []bool{false, true} {
		begun, goOn := make(chan bool, 1), make(chan bool)
		s := serveTest(t, &service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			begun <- true
			<-goOn
			return &testpb.SimpleResponse{Username: "done"}, nil
		}}, nil)
		client := protocolClient(t, two)
		type result struct {
			response *http.Response
			answer   string
		}
		answered := make(chan result, 1)
		go func() {
			response, answer := post(t, client, s.url+unaryPath, "{}")
			answered <- result{response, answer}
		}()
		<-begun
		unused, err := net.Dial("tcp", s.port.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer unused.Close()
		stopped := make(chan error, 1)
		go func() { stopped <- s.stop() }()
		for { // until it takes no connections
			c, err := net.Dial("tcp", s.port.listener.Addr().String())
			if err != nil {
				break
			}
			_ = c.Close()
			time.Sleep(5 * time.Millisecond)
		}
		close(goOn)
		if got := <-answered; got.response.StatusCode != http.StatusOK || !strings.Contains(got.answer, "done") {
			t.Errorf("HTTP/2 %v: the call under way ends with %s: %s", two, got.response.Status, got.answer)
		}
		if err := <-stopped; err != nil {
			t.Errorf("HTTP/2 %v: %v", two, err)
		}
	}
}

func TestAServerThatStopsEndsStreamsByHTTP(t *testing.T) {
	t.Parallel()
	begun := make(chan bool, 4)
	service := &service{
		tail: func(_ *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
			ctx, cancel := server.UntilDrain(stream.Context())
			defer cancel()
			begun <- true
			<-ctx.Done()
			return context.Cause(ctx)
		},
		upload: func(stream testpb.TestService_StreamingInputCallServer) error {
			begun <- true
			for {
				if _, err := stream.Recv(); err != nil {
					return err
				}
			}
		},
	}
	for _, two := range []bool{false, true} {
		s := serveTest(t, service, nil)
		client := protocolClient(t, two)
		upload, _ := begin(t, s, client, uploadPath)
		<-begun
		tail, request := begin(t, s, client, tailPath)
		_, _ = io.WriteString(request, frame(0, "{}"))
		_ = request.Close()
		<-begun
		if err := s.stop(); err != nil {
			t.Errorf("HTTP/2 %v: %v", two, err)
		}
		for name, stream := range map[string]<-chan string{"tail": tail, "upload": upload} {
			if answer := <-stream; code(answer) != "unavailable" || !strings.Contains(answer, "stopping") {
				t.Errorf("HTTP/2 %v: a %s ends with %q", two, name, answer)
			}
		}
	}
}

func TestCallsByHTTPThatGoOnAreCutOff(t *testing.T) {
	begun, ended := make(chan bool, 1), make(chan bool)
	defer close(ended)
	s := serveTest(t, &service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		begun <- true
		<-ended
		return &testpb.SimpleResponse{}, nil
	}}, func(config *server.Config, _ *Config) { config.DrainTimeout = 100 * time.Millisecond })
	answer := make(chan error, 1)
	go func() {
		_, err := protocolClient(t, false).Post(s.url+unaryPath, "application/json", strings.NewReader("{}"))
		answer <- err
	}()
	<-begun
	if err := s.stop(); err == nil || !strings.Contains(err.Error(), "--drain-timeout") {
		t.Errorf("Serve returns %v", err)
	}
	if err := <-answer; err == nil {
		t.Error("the call has an answer")
	}
}

func TestConnectionsBecomeTooOld(t *testing.T) {
	for _, two := range []bool{false, true} {
		s := serveTest(t, &service{}, func(config *server.Config, _ *Config) { config.MaxConnectionAge = time.Nanosecond })
		from := map[string]bool{}
		client := protocolClient(t, two)
		for range 3 {
			var c net.Conn
			transport := client.Transport.(*http.Transport)
			transport.DialContext = func(ctx context.Context, network, addr string) (_ net.Conn, err error) {
				c, err = new(net.Dialer).DialContext(ctx, network, addr)
				if err == nil {
					from[c.LocalAddr().String()] = true
				}
				return c, err
			}
			if response, answer := post(t, client, s.url+unaryPath, "{}"); response.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", response.Status, answer)
			}
		}
		if len(from) != 3 {
			t.Errorf("HTTP/2 %v: three calls came by %d connections", two, len(from))
		}
	}
}

func TestAnAnswerThatNobodyReadsMakesRoom(t *testing.T) {
	t.Parallel()
	large := &testpb.SimpleResponse{Payload: &testpb.Payload{Body: make([]byte, 16<<20)}}
	begun := make(chan bool, 8)
	s := serveTest(t, &service{unary: func(_ context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		if request.ResponseSize == 0 {
			return &testpb.SimpleResponse{}, nil
		}
		begun <- true
		return large, nil
	}}, func(config *server.Config, _ *Config) { config.MaxCalls, config.MaxMemoryBytes = 4, 1<<30 })
	text := `{"responseSize":1}`
	for range 2 { // half of the calls are for one address
		c, err := net.Dial("tcp", s.port.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "POST "+unaryPath+" HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n"+text)
		<-begun
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		response, answer := post(t, protocolClient(t, false), s.url+unaryPath, "{}")
		if response.StatusCode == http.StatusOK {
			return
		}
		if code(answer) != "resource_exhausted" || time.Now().After(deadline) {
			t.Fatalf("%s: %s", response.Status, answer)
		}
	}
}

// TestAnswersByHTTP2CountUntilTheyAreWritten has a client that leaves no room for the
// answers to its calls, which package http writes once their handlers have returned.
func TestAnswersByHTTP2CountUntilTheyAreWritten(t *testing.T) {
	t.Parallel()
	s := serveTest(t, &service{}, func(config *server.Config, _ *Config) { config.MaxCalls = 4 })
	c, err := net.Dial("tcp", s.port.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, http2.ClientPreface)
	framer := http2.NewFramer(c, c)
	if err := framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	const calls = 2 // half of what there may be is for one address
	for i := range uint32(calls) {
		block.Reset()
		for _, field := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "a"}, {":path", unaryPath}, {"content-type", "application/json"}} {
			_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
		}
		if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1 + 2*i, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
			t.Fatal(err)
		}
		if err := framer.WriteData(1+2*i, true, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	for answered := 0; answered < calls; {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := frame.(*http2.HeadersFrame); ok {
			answered++
		}
	}
	refused := 0
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		response, answer := post(t, protocolClient(t, false), s.url+unaryPath, "{}")
		if response.StatusCode == http.StatusOK {
			break
		}
		if code(answer) != "resource_exhausted" || time.Now().After(deadline) {
			t.Fatalf("%s: %s", response.Status, answer)
		}
		refused++
	}
	if refused == 0 {
		t.Error("calls whose answers are not written don't count")
	}
}
