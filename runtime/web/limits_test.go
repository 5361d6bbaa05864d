package web

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// code returns the code in an answer that is an error of a call in which neither side
// streams, or in the end of a stream.
func code(answer string) string {
	var failed struct {
		Code  string
		Error struct{ Code string }
	}
	if i := strings.LastIndex(answer, "\x02\x00\x00"); i >= 0 && len(answer) > i+5 {
		answer = answer[i+5:]
	}
	if err := json.Unmarshal([]byte(answer), &failed); err != nil {
		return ""
	}
	return failed.Code + failed.Error.Code
}

// frame returns a message as connect's streams have it.
func frame(flags byte, message string) string {
	return string(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(message)))) + message
}

func gzipped(text string) string {
	var to bytes.Buffer
	w := gzip.NewWriter(&to)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return to.String()
}

// body returns the JSON of a request whose payload has so many bytes.
func body(length int) string {
	return `{"payload":{"body":"` + base64.StdEncoding.EncodeToString(make([]byte, length)) + `"}}`
}

func small(most int) func(*server.Config, *Config) {
	return func(config *server.Config, _ *Config) { config.MaxMessageBytes = most }
}

func TestRequestsThatAreTooLongAreRefused(t *testing.T) {
	t.Parallel()
	upload := func(stream testpb.TestService_StreamingInputCallServer) error {
		for {
			if _, err := stream.Recv(); err != nil {
				if err == io.EOF {
					return stream.SendAndClose(&testpb.StreamingInputCallResponse{})
				}
				return err
			}
		}
	}
	s := serveTest(t, &service{upload: upload}, small(100<<10))
	for _, test := range []struct {
		name, path, want string
		body             string
		headers          []string
	}{
		{"fits", unaryPath, "", body(50 << 10), nil},
		{"fits, of unknown length", unaryPath, "", body(50 << 10), nil},
		{"fits, compressed", unaryPath, "", gzipped(body(50 << 10)), []string{"Content-Encoding", "gzip"}},
		{"too long", unaryPath, "resource_exhausted", body(200 << 10), nil},
		{"too long, of unknown length", unaryPath, "resource_exhausted", body(200 << 10), nil},
		{"too long once it is decompressed", unaryPath, "resource_exhausted", gzipped(body(9 << 20)), []string{"Content-Encoding", "gzip"}},
		{"stream that fits", uploadPath, "", frame(0, body(50<<10)) + frame(0, body(60<<10)), []string{"Content-Type", "application/connect+json"}},
		{"stream with one too long", uploadPath, "resource_exhausted", frame(0, body(5<<10)) + frame(0, body(200<<10)), []string{"Content-Type", "application/connect+json"}},
		{"stream with one too long once it is decompressed", uploadPath, "resource_exhausted", frame(1, gzipped(body(9<<20))),
			[]string{"Content-Type", "application/connect+json", "Connect-Content-Encoding", "gzip"}},
	} {
		for _, two := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %v", test.name, two), func(t *testing.T) {
				var from io.Reader = strings.NewReader(test.body)
				if strings.Contains(test.name, "unknown") {
					from = io.MultiReader(from)
				}
				request, _ := http.NewRequest(http.MethodPost, s.url+test.path, from)
				request.Header.Set("Content-Type", "application/json")
				for i := 0; i < len(test.headers); i += 2 {
					request.Header.Set(test.headers[i], test.headers[i+1])
				}
				response, answer := do(t, protocolClient(t, two), request)
				if got := code(answer); got != test.want {
					t.Errorf("%s: %q, want %q: %.300q", response.Status, got, test.want, answer)
				}
				if test.want != "" && !strings.Contains(answer, "--max-message-bytes") {
					t.Errorf("does not name the limit: %s", answer)
				}
			})
		}
	}
	if !strings.Contains(s.log.String(), `limit=--max-message-bytes`) {
		t.Error("the limit is not in the log")
	}
}

func TestJSONIsWeighedBeforeItIsDecoded(t *testing.T) {
	tail := func(request *testpb.StreamingOutputCallRequest, _ testpb.TestService_StreamingOutputCallServer) error {
		return nil
	}
	s := serveTest(t, &service{tail: tail}, func(config *server.Config, _ *Config) {
		config.MaxBatch, config.MaxMessageBytes = 1000, 64<<10
	})
	many := func(n int) string {
		return `{"responseParameters":[` + strings.TrimSuffix(strings.Repeat("{},", n), ",") + `]}`
	}
	for _, test := range []struct{ name, body, want, says string }{
		{"as many as may be", many(1000), "", ""},
		{"too many", many(1001), "invalid_argument", "--max-batch"},
		{"too many with space between", strings.ReplaceAll(many(1001), "{}", " \n{ }"), "invalid_argument", "--max-batch"},
		{"deep", strings.Repeat(`{"payload":`, 200) + strings.Repeat("}", 200), "invalid_argument", "not a valid"},
		{"not JSON", many(900)[:2000], "invalid_argument", "not a valid"},
	} {
		_, answer := post(t, protocolClient(t, false), s.url+tailPath, frame(0, test.body), "Content-Type", "application/connect+json")
		if got := code(answer); got != test.want || !strings.Contains(answer, test.says) {
			t.Errorf("%s: %q, want %q: %.300q", test.name, got, test.want, answer)
		}
	}
}

// slow is a body that never ends.
func slow(t *testing.T, begin string) io.Reader {
	reader, writer := io.Pipe()
	t.Cleanup(func() { _ = writer.Close() })
	go func() { _, _ = io.WriteString(writer, begin) }()
	return reader
}

func TestRequestsThatArriveTooSlowlyEnd(t *testing.T) {
	t.Parallel()
	upload := func(stream testpb.TestService_StreamingInputCallServer) error {
		for {
			if _, err := stream.Recv(); err != nil {
				return err
			}
		}
	}
	s := serveTest(t, &service{upload: upload}, func(config *server.Config, _ *Config) { config.ReceiveTimeout = 300 * time.Millisecond })
	for _, test := range []struct{ name, path, begin, kind string }{
		{"nothing", unaryPath, "", "application/json"},
		{"half of a request", unaryPath, body(20 << 10)[:18<<10], "application/json"},
		{"half of a message", uploadPath, frame(0, body(20<<10))[:100], "application/connect+json"},
		{"half of a large message", uploadPath, frame(0, body(100<<10))[:50<<10], "application/connect+json"},
	} {
		for _, two := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %v", test.name, two), func(t *testing.T) {
				t.Parallel()
				request, _ := http.NewRequest(http.MethodPost, s.url+test.path, slow(t, test.begin))
				request.Header.Set("Content-Type", test.kind)
				_, answer := do(t, protocolClient(t, two), request)
				if got := code(answer); got != "deadline_exceeded" || !strings.Contains(answer, "--receive-timeout") {
					t.Errorf("%q", answer)
				}
			})
		}
	}
}

func TestADeadlineEndsTheWaitForARequest(t *testing.T) {
	t.Parallel()
	s := serveTest(t, &service{}, nil)
	for _, two := range []bool{false, true} {
		request, _ := http.NewRequest(http.MethodPost, s.url+unaryPath, slow(t, "{"))
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Connect-Timeout-Ms", "200")
		response, answer := do(t, protocolClient(t, two), request)
		if got := code(answer); got != "deadline_exceeded" || response.StatusCode != http.StatusGatewayTimeout {
			t.Errorf("HTTP/2 %v: %s, %q", two, response.Status, answer)
		}
	}
}

func TestHeadersAreBounded(t *testing.T) {
	s := serveTest(t, &service{}, func(config *server.Config, _ *Config) { config.MaxMetadataBytes = 2000 })
	for _, two := range []bool{false, true} {
		for _, length := range []int{100, 1900} {
			want := map[bool]int{true: http.StatusOK, false: http.StatusRequestHeaderFieldsTooLarge}[length == 100]
			request, _ := http.NewRequest(http.MethodPost, s.url+unaryPath, strings.NewReader("{}"))
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("X-Long", strings.Repeat("a", length))
			response, answer := do(t, protocolClient(t, two), request)
			if response.StatusCode != want {
				t.Errorf("HTTP/2 %v, %d: %s, want %d", two, length, response.Status, want)
			}
			if length == 1900 && (code(answer) != "resource_exhausted" || !strings.Contains(answer, "--max-metadata-bytes")) {
				t.Errorf("%s", answer)
			}
		}
	}
}

func TestConnectionsOfBothPortsCountTogether(t *testing.T) {
	s := serveTest(t, &service{}, func(config *server.Config, _ *Config) { config.MaxConnections = 2 })
	closed := func(c net.Conn) bool {
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		_, err := c.Read(make([]byte, 100))
		for err == nil {
			_, err = c.Read(make([]byte, 100))
		}
		return err == io.EOF || strings.Contains(err.Error(), "reset")
	}
	var all []net.Conn
	for _, addr := range []string{s.Addr(), s.port.listener.Addr().String(), s.port.listener.Addr().String()} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all = append(all, c)
		for len(all) == 1 && s.Stats().Connections == 0 { // it is accepted before the others connect
			time.Sleep(time.Millisecond)
		}
	}
	if !closed(all[0]) {
		t.Error("for a third connection, the oldest without a call is not closed")
	}
	if !strings.Contains(s.log.String(), "limit=--max-connections") {
		t.Error("the limit is not in the log")
	}
}

// begin begins a call of both, which waits for its client, and returns what is answered.
func begin(t *testing.T, s *running, client *http.Client, path string) (<-chan string, *io.PipeWriter) {
	t.Helper()
	reader, writer := io.Pipe()
	request, _ := http.NewRequest(http.MethodPost, s.url+path, reader)
	request.Header.Set("Content-Type", "application/connect+json")
	answer := make(chan string, 1)
	go func() {
		response, err := client.Do(request)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer response.Body.Close()
		all, _ := io.ReadAll(response.Body)
		answer <- string(all)
	}()
	t.Cleanup(func() { _ = writer.Close() })
	return answer, writer
}

func TestCallsAreBoundedAndThoseThatWaitMakeRoom(t *testing.T) {
	begun := make(chan bool, 10)
	upload := func(stream testpb.TestService_StreamingInputCallServer) error {
		begun <- true
		for {
			if _, err := stream.Recv(); err != nil {
				return err
			}
		}
	}
	s := serveTest(t, &service{upload: upload}, func(config *server.Config, _ *Config) { config.MaxCalls = 4 })
	client := protocolClient(t, true)
	first, _ := begin(t, s, client, uploadPath)
	<-begun
	for range 3 {
		begin(t, s, client, uploadPath)
		<-begun
	}
	response, answer := post(t, protocolClient(t, false), s.url+unaryPath, "{}")
	if response.StatusCode != http.StatusOK {
		t.Errorf("a call does not get the room of one that waits: %s: %s", response.Status, answer)
	}
	select {
	case answer := <-first:
		if code(answer) != "resource_exhausted" || !strings.Contains(answer, "--max-calls") {
			t.Errorf("the call that waited for longest ends with %q", answer)
		}
	case <-time.After(time.Minute):
		t.Error("no call was ended to make room")
	}
}

func TestTailsAreBounded(t *testing.T) {
	t.Parallel()
	tail := func(_ *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
		_ = stream.SendHeader(nil)
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	s := serveTest(t, &service{tail: tail}, func(config *server.Config, _ *Config) { config.MaxTails = 2 })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := protocolClient(t, true)
	request := func(ctx context.Context) *http.Request {
		request, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.url+tailPath, strings.NewReader(frame(0, "{}")))
		request.Header.Set("Content-Type", "application/connect+json")
		return request
	}
	response, err := client.Do(request(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, answer := do(t, client, request(t.Context())); code(answer) != "resource_exhausted" || !strings.Contains(answer, "--max-tails") {
		t.Errorf("a second tail of an address that may have one: %q", answer)
	}
	cancel()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if goesOn(t, client, request(t.Context())) {
			return
		}
	}
	t.Fatal("a tail whose client left goes on to count")
}

// goesOn reports whether a stream has headers but no end yet.
func goesOn(t *testing.T, client *http.Client, request *http.Request) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(request.Context())
	defer cancel()
	response, err := client.Do(request.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	stop := time.AfterFunc(200*time.Millisecond, cancel)
	defer stop.Stop()
	_, err = io.ReadAll(response.Body)
	return err != nil
}

func TestMemoryIsSharedByRequestsThatArrive(t *testing.T) {
	t.Parallel()
	s := serveTest(t, &service{}, func(config *server.Config, _ *Config) {
		config.MaxMessageBytes, config.MaxMemoryBytes = 1<<20, 4<<20
	})
	large := body(600 << 10)
	for _, two := range []bool{false, true} {
		held := make(chan string, 1)
		request, _ := http.NewRequest(http.MethodPost, s.url+unaryPath, slow(t, large[:300<<10]))
		request.ContentLength = int64(len(large))
		request.Header.Set("Content-Type", "application/json")
		go func() {
			_, answer := do(t, protocolClient(t, two), request)
			held <- answer
		}()
		for waits := true; waits; {
			for _, text := range []string{"{}", large} {
				if response, answer := post(t, protocolClient(t, two), s.url+unaryPath, text); response.StatusCode != http.StatusOK {
					t.Fatalf("HTTP/2 %v: a request of %d bytes has to wait for one that does not arrive: %s: %s", two, len(text), response.Status, answer)
				}
			}
			select {
			case answer := <-held:
				waits = false
				if code(answer) != "resource_exhausted" || !strings.Contains(answer, "--max-memory-bytes") {
					t.Errorf("HTTP/2 %v: what held the memory ends with %q", two, answer)
				}
			default:
			}
		}
	}
}

func TestAServerThatStopsDoesNotWaitForAnswersThatNobodyReads(t *testing.T) {
	t.Parallel()
	begun := make(chan bool, 1)
	s := serveTest(t, &service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		begun <- true
		return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: make([]byte, 16<<20)}}, nil
	}}, nil)
	c, err := net.Dial("tcp", s.port.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "POST "+unaryPath+" HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
	<-begun
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// TestBodiesThatAreNotHTTPAreRefused sends chunks that are none, which is not a fault of
// the server.
func TestBodiesThatAreNotHTTPAreRefused(t *testing.T) {
	t.Parallel()
	s := serveTest(t, &service{}, nil)
	for _, contentType := range []string{"application/json", "application/proto"} {
		for _, chunk := range []string{"x\r\n", "1;" + strings.Repeat("x", 10_000) + "\r\n{\r\n", "1\r\n{}}\r\n"} {
			c, err := net.Dial("tcp", s.port.listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = io.WriteString(c, "POST "+unaryPath+" HTTP/1.1\r\nHost: x\r\nContent-Type: "+contentType+"\r\nTransfer-Encoding: chunked\r\n\r\n"+chunk)
			response, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "can't be read") {
				t.Errorf("%s, %.20q: %s %s", contentType, chunk, response.Status, text)
			}
		}
	}
}
