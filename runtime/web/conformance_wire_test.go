package web_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// wire is a protocol as its bytes are.
type wire struct {
	name        string
	rpc         kind
	contentType string
	encoding    string // the header that names the compression
	framed      bool   // each message has a prefix
	client      *http.Client
	url         string
	status      func(*http.Response, []byte) *status.Status
}

func (s *served) wires(t *testing.T) []wire {
	t.Helper()
	h1, h2 := s.client(t, false), s.client(t, true)
	return []wire{
		{"gRPC", unary, "application/grpc", "Grpc-Encoding", true, h2, "http://" + s.addr, inTrailers},
		{"gRPC by the port of HTTP", unary, "application/grpc+proto", "Grpc-Encoding", true, h2, "http://" + s.http, inTrailers},
		{"gRPC-Web", unary, "application/grpc-web+proto", "Grpc-Encoding", true, h1, "http://" + s.http, inLastFrame},
		{"Connect", unary, "application/proto", "Content-Encoding", false, h1, "http://" + s.http, inBody},
		{"a stream of Connect", fromServer, "application/connect+proto", "Connect-Content-Encoding", true, h1, "http://" + s.http, inEndOfStream},
	}
}

// inTrailers returns the status of gRPC, which is in trailers or headers.
func inTrailers(r *http.Response, _ []byte) *status.Status {
	return inHeaders(r.Trailer, r.Header)
}

func inHeaders(all ...http.Header) *status.Status {
	for _, headers := range all {
		if text := headers.Get("Grpc-Status"); text != "" {
			code, err := strconv.Atoi(text)
			if err != nil {
				return status.New(codes.Unknown, "grpc-status "+text)
			}
			message, err := url.PathUnescape(headers.Get("Grpc-Message"))
			if err != nil {
				return status.New(codes.Unknown, "grpc-message "+headers.Get("Grpc-Message"))
			}
			s := &statuspb.Status{Code: int32(code), Message: message}
			return status.FromProto(s)
		}
	}
	return status.New(codes.Unknown, "no grpc-status")
}

// frames splits a body into frames, and calls each with its flags.
func frames(body []byte, each func(flags byte, content []byte)) {
	for len(body) >= 5 {
		length := min(int(binary.BigEndian.Uint32(body[1:])), len(body)-5)
		flags, content := body[0], body[5:5+length]
		body = body[5+length:]
		if flags&1 != 0 {
			if r, err := gzip.NewReader(bytes.NewReader(content)); err == nil {
				content, _ = io.ReadAll(r) // what is missing is missed
			}
		}
		each(flags, content)
	}
}

// inLastFrame returns the status of gRPC-Web, which is in the frame with flag 0x80.
func inLastFrame(r *http.Response, body []byte) *status.Status {
	trailer := http.Header{}
	frames(body, func(flags byte, content []byte) {
		if flags&0x80 != 0 {
			for line := range strings.Lines(string(content)) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
				trailer.Add(name, strings.TrimSpace(value))
			}
		}
	})
	return inHeaders(trailer, r.Header)
}

// inBody returns the status of a unary call of Connect.
func inBody(r *http.Response, body []byte) *status.Status {
	if r.StatusCode == http.StatusOK {
		return nil
	}
	failed := jsonError{}
	if err := json.Unmarshal(body, &failed); err != nil {
		return status.Newf(codes.Unknown, "HTTP %d: %s", r.StatusCode, body)
	}
	return failed.status()
}

// inEndOfStream returns the status of a stream of Connect, which is in the frame with
// flag 2.
func inEndOfStream(_ *http.Response, body []byte) *status.Status {
	s := status.New(codes.Unknown, "no end of the stream")
	frames(body, func(flags byte, content []byte) {
		if flags&2 == 0 {
			return
		}
		end := struct{ Error *jsonError }{}
		if err := json.Unmarshal(content, &end); err != nil {
			s = status.New(codes.Unknown, string(content))
			return
		}
		s = nil
		if end.Error != nil {
			s = end.Error.status()
		}
	})
	return s
}

// frame returns a message with its prefix.
func frame(flags byte, message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(message))), message...)
}

func encoded(t *testing.T, text string) []byte {
	t.Helper()
	message, err := proto.Marshal(request(text))
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// What is wrong on the wire has the same answer in all protocols, never reaches the
// handler, and is counted.
func TestWrongRequestsHaveTheSameAnswerInAllProtocols(t *testing.T) {
	t.Parallel()
	refusals := make(chan string, 10)
	s := serve(t, func(c *settings) { c.MaxMessageBytes = 10_000 }, server.Observers(server.Observer{Refused: func(why string) { refusals <- why }}))
	reached := false
	s.service.handles(func(context.Context, []string) ([]string, error) {
		reached = true
		return []string{"b"}, nil
	})
	right, long := encoded(t, "a"), encoded(t, strings.Repeat("a", 20_000))
	none := kind{name: "Nothing"}
	for _, c := range []struct {
		name    string
		rpc     kind // instead of the one of the protocol
		message []byte
		whole   []byte // instead of the message with its prefix
		flags   byte
		headers []string // ENCODING is the header that names the compression
		late    bool     // the deadline has passed
		code    codes.Code
		own     codes.Code // of gRPC's own port, if it is another
		says    string
		refused string // as observers see it
	}{
		{name: "nothing wrong", message: right, code: codes.OK},
		{name: "compressed", message: compressed(right), flags: 1, headers: []string{"ENCODING", "gzip"}, code: codes.OK},
		{name: "unknown compression", message: right, flags: 1, headers: []string{"ENCODING", "snail"},
			code: codes.Unimplemented, says: "snail", refused: server.UnknownCompression},
		{name: "not what the message is", message: []byte{0xff, 0xff},
			code: codes.InvalidArgument, says: "the request is not a valid grpc.testing.SimpleRequest", refused: server.Undecodable},
		{name: "text that is not UTF-8", message: []byte{0x1a, 0x04, 0x0a, 0x02, 0xff},
			code: codes.InvalidArgument, says: "the request is not a valid grpc.testing.SimpleRequest", refused: server.Undecodable},
		{name: "not compressed as it says", message: right, flags: 1, headers: []string{"ENCODING", "gzip"},
			code: codes.InvalidArgument, own: codes.Internal, refused: server.Undecodable},
		{name: "too large", message: long, code: codes.ResourceExhausted, refused: server.TooLarge},
		{name: "too large once it is not compressed", message: compressed(long), flags: 1, headers: []string{"ENCODING", "gzip"},
			code: codes.ResourceExhausted, refused: server.TooLarge},
		{name: "no message", whole: []byte{}, code: codes.Unimplemented, own: codes.Internal, refused: server.NoRequest},
		{name: "two messages", whole: append(frame(0, right), frame(0, right)...),
			code: codes.Unimplemented, own: codes.Internal, refused: server.Undecodable},
		{name: "half a message", whole: frame(0, long[:5_000])[:2_000], code: codes.InvalidArgument, own: codes.Internal, refused: server.Undecodable},
		{name: "half a prefix", whole: []byte{0, 0}, code: codes.InvalidArgument, own: codes.Internal, refused: server.Undecodable},
		{name: "too late", message: right, late: true, code: codes.DeadlineExceeded, refused: server.TooLate},
		{name: "an RPC that no proto has", rpc: none, message: right, code: codes.Unimplemented, refused: server.UnknownRPC},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, w := range s.wires(t) {
				if c.whole != nil && !w.framed {
					continue // any body is one message
				}
				t.Run(w.name, func(t *testing.T) {
					reached = false
					body, code, rpc := c.message, c.code, w.rpc
					if w.url == "http://"+s.addr {
						code = cmp.Or(c.own, code)
					}
					if w.framed {
						body = frame(c.flags, body)
					}
					if c.whole != nil {
						body = c.whole
					}
					if c.rpc != (kind{}) {
						rpc = c.rpc
					}
					headers := []string{"Te", "trailers"}
					for _, header := range c.headers {
						headers = append(headers, strings.ReplaceAll(header, "ENCODING", w.encoding))
					}
					if c.late && strings.HasPrefix(w.contentType, "application/grpc") {
						headers = append(headers, "Grpc-Timeout", "0S")
					} else if c.late {
						headers = append(headers, "Connect-Timeout-Ms", "0")
					}
					response, answer, err := post(soon(t), w.client, w.url+rpc.method(), w.contentType, body, headers...)
					if err != nil {
						t.Fatal(err)
					}
					got := w.status(response, answer)
					if got.Code() != code || !strings.Contains(got.Message(), c.says) {
						t.Errorf("got %v, want %v: %s", got, code, c.says)
					}
					if reached != (code == codes.OK) {
						t.Errorf("the handler was reached: %v", reached)
					}
					if c.refused == "" {
						return
					}
					select {
					case why := <-refusals:
						if why != c.refused {
							t.Errorf("observers see that it is refused for %q, want %q", why, c.refused)
						}
					case <-time.After(testTimeout):
						t.Errorf("observers don't see that it is refused, want for %q", c.refused)
					}
				})
			}
			if len(refusals) > 0 {
				t.Errorf("observers also see %q", <-refusals)
			}
		})
	}
}

// Text where a message should begin is the client's mistake: neither the server's, nor a
// limit that was reached.
func TestTextWithoutAPrefixIsTheClientsMistake(t *testing.T) {
	t.Parallel()
	refusals, limits := make(chan string, 10), make(chan string, 10)
	s := serve(t, nil, server.Observers(server.Observer{Refused: func(why string) { refusals <- why }, Limit: func(limit string) { limits <- limit }}))
	for _, w := range s.wires(t) {
		if !w.framed || w.url == "http://"+s.addr {
			continue
		}
		for _, body := range []string{`{}`, `{"payload": {"body": "YQ=="}}`, "\n", "\x0a\x02ab"} {
			response, answer, err := post(soon(t), w.client, w.url+w.rpc.method(), w.contentType, []byte(body), "Te", "trailers")
			if err != nil {
				t.Fatal(err)
			}
			if got := w.status(response, answer); got.Code() != codes.InvalidArgument || !strings.Contains(got.Message(), "begins with five bytes") {
				t.Errorf("%s: %q: got %v", w.name, body, got)
			}
			select {
			case why := <-refusals:
				if why != server.Undecodable {
					t.Errorf("%s: %q: refused for %q", w.name, body, why)
				}
			case <-time.After(testTimeout):
				t.Errorf("%s: %q: observers don't see that it is refused", w.name, body)
			}
		}
	}
	if len(refusals) > 0 || len(limits) > 0 {
		t.Errorf("observers see %d more refusals and %d limits", len(refusals), len(limits))
	}
}

// A list that is too long is refused in all protocols, and the limit is named.
func TestLongListsAreRefusedInAllProtocols(t *testing.T) {
	t.Parallel()
	lists := &listing{}
	s := serve(t, func(c *settings) { c.MaxBatch = 100 }, server.Service{Desc: &testpb.TestService_ServiceDesc, Impl: lists})
	list := kind{name: "StreamingOutputCall", service: "grpc.testing.TestService", serverStreams: true}
	for _, w := range s.wires(t) {
		if !w.framed {
			continue
		}
		for _, codec := range []string{"", "+json"} {
			contentType := strings.TrimSuffix(w.contentType, "+proto")
			if codec == "" {
				contentType = w.contentType
			} else if contentType += codec; w.url == "http://"+s.addr {
				continue
			}
			for length, want := range map[int]codes.Code{100: codes.OK, 1000: codes.InvalidArgument} {
				request := &testpb.StreamingOutputCallRequest{}
				for range length {
					request.ResponseParameters = append(request.ResponseParameters, &testpb.ResponseParameters{Size: 1})
				}
				message, err := proto.Marshal(request)
				if codec != "" {
					message, err = protojson.Marshal(request)
				}
				if err != nil {
					t.Fatal(err)
				}
				response, answer, err := post(soon(t), w.client, w.url+list.method(), contentType, frame(0, message), "Te", "trailers")
				if err != nil {
					t.Fatal(err)
				}
				got := w.status(response, answer)
				if got.Code() != want || want != codes.OK && !strings.Contains(got.Message(), "--max-batch") {
					t.Errorf("%s of %s with %d elements: got %v", contentType, w.name, length, got)
				}
			}
		}
	}
}

// listing is a service whose requests have a list.
type listing struct {
	testpb.UnimplementedTestServiceServer
}

func (listing) StreamingOutputCall(*testpb.StreamingOutputCallRequest, testpb.TestService_StreamingOutputCallServer) error {
	return nil
}

// JSON is taken as it is meant or not at all, and errors say where it is wrong.
func TestJSONIsStrict(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.service.handles(func(_ context.Context, requests []string) ([]string, error) { return requests, nil })
	client := s.client(t, false)
	for _, c := range []struct {
		name, body string
		status     int
		says       string // in the message of the error, or as the text of the reply
	}{
		{"right", `{"payload": {"body": "YQ=="}}`, 200, "a"},
		{"right, by the names of the proto", `{"response_size": 3, "payload": {"body": "YQ=="}}`, 200, "a"},
		{"nothing in it", `{}`, 200, ""},
		{"an unknown field", `{"payload": {"body": "YQ=="}, "payloads": 1}`, 400, `payloads`},
		{"an unknown field within another", `{"payload": {"boddy": "YQ=="}}`, 400, `boddy`},
		{"a wrong type", `{"payload": "a"}`, 400, `grpc.testing.SimpleRequest`},
		{"a field twice", `{"payload": {}, "payload": {}}`, 400, `payload`},
		{"a word that an enum does not have", `{"responseType": "NOPE"}`, 400, `responseType`},
		{"half of it", `{"payload": {"body": "YQ=="`, 400, `grpc.testing.SimpleRequest`},
		{"more after it", `{} {}`, 400, `grpc.testing.SimpleRequest`},
		{"no JSON", `a=b`, 400, `grpc.testing.SimpleRequest`},
		{"no object", `[]`, 400, `grpc.testing.SimpleRequest`},
		{"nothing", ``, 400, `grpc.testing.SimpleRequest`},
	} {
		t.Run(c.name, func(t *testing.T) {
			response, answer, err := post(soon(t), client, "http://"+s.http+unary.method(), "application/json", []byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != c.status || response.Header.Get("Content-Type") != "application/json" {
				t.Errorf("HTTP %d of %s: %s", response.StatusCode, response.Header.Get("Content-Type"), answer)
			}
			if c.status == http.StatusOK {
				reply := &testpb.SimpleResponse{}
				if err := protojson.Unmarshal(answer, reply); err != nil || textOf(reply) != c.says {
					t.Errorf("got %s, %v, want %q", answer, err, c.says)
				}
				return
			}
			failed := jsonError{}
			if err := json.Unmarshal(answer, &failed); err != nil {
				t.Fatalf("%s: %v", answer, err)
			}
			if failed.Code != "invalid_argument" || !strings.Contains(failed.Message, c.says) {
				t.Errorf("got %s: %s, want invalid_argument: %s", failed.Code, failed.Message, c.says)
			}
		})
	}
	t.Run("in streams, too", func(t *testing.T) {
		for contentType, read := range map[string]func(*http.Response, []byte) *status.Status{
			"application/connect+json": inEndOfStream, "application/grpc-web+json": inLastFrame,
		} {
			response, answer, err := post(soon(t), client, "http://"+s.http+fromServer.method(), contentType, frame(0, []byte(`{"payloads": {}}`)))
			if err != nil {
				t.Fatal(err)
			}
			if got := read(response, answer); got.Code() != codes.InvalidArgument || !strings.Contains(got.Message(), "payloads") {
				t.Errorf("%s: got %v", contentType, got)
			}
		}
	})
}

// A request that is not a call gets the status that HTTP has for it, and is counted.
func TestWhatIsNoCallHasAStatusOfHTTP(t *testing.T) {
	t.Parallel()
	refusals := make(chan string, 10)
	s := serve(t, nil, server.Observers(server.Observer{Refused: func(why string) { refusals <- why }}))
	client := s.client(t, false)
	for _, c := range []struct {
		name, method, path, contentType string
		header                          string // of the request
		status                          int
		allow                           string
		refused                         string
	}{
		{"GET", http.MethodGet, unary.method(), "", "", http.StatusMethodNotAllowed, "POST", server.NotGRPC},
		{"a form", http.MethodPost, unary.method(), "application/x-www-form-urlencoded", "", http.StatusUnsupportedMediaType, "", server.NotGRPC},
		{"no content type", http.MethodPost, unary.method(), "", "", http.StatusUnsupportedMediaType, "", server.NotGRPC},
		{"JSON for a stream", http.MethodPost, fromServer.method(), "application/json", "", http.StatusUnsupportedMediaType, "", server.NotGRPC},
		{"both ways by HTTP/1.1", http.MethodPost, bothWays.method(), "application/connect+json", "", http.StatusHTTPVersionNotSupported, "", server.NotGRPC},
		{"a path of no RPC", http.MethodGet, "/", "", "", http.StatusNotFound, "", server.UnknownRPC},
		{"large headers", http.MethodPost, unary.method(), "application/json", strings.Repeat("a", 17<<10), http.StatusRequestHeaderFieldsTooLarge, "", server.HeadersTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(soon(t), c.method, "http://"+s.http+c.path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
			r.Header.Set("X-Header", c.header)
			response, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != c.status {
				t.Errorf("HTTP %d, want %d", response.StatusCode, c.status)
			}
			if got := response.Header.Get("Allow"); got != c.allow {
				t.Errorf("Allow is %q, want %q", got, c.allow)
			}
			select {
			case why := <-refusals:
				if why != c.refused {
					t.Errorf("observers see that it is refused for %q, want %q", why, c.refused)
				}
			case <-time.After(testTimeout):
				t.Errorf("observers don't see that it is refused, want for %q", c.refused)
			}
		})
	}
	if len(refusals) > 0 {
		t.Errorf("observers also see %q", <-refusals)
	}
}

// A reply is compressed for who says that it may be.
func TestRepliesAreCompressedIfTheClientTakesThat(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	large := strings.Repeat("a", 100_000)
	s.service.handles(func(context.Context, []string) ([]string, error) { return []string{large}, nil })
	client := s.client(t, false)
	for _, accept := range []string{"", "identity", "br", "gzip", "br, gzip"} {
		headers := []string{"Accept-Encoding", accept}
		response, answer, err := post(soon(t), client, "http://"+s.http+unary.method(), "application/json", []byte("{}"), headers...)
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		if strings.Contains(accept, "gzip") {
			want = "gzip"
		}
		if got := response.Header.Get("Content-Encoding"); got != want || response.StatusCode != http.StatusOK {
			t.Errorf("Accept-Encoding %q: HTTP %d with Content-Encoding %q, want %q", accept, response.StatusCode, got, want)
		}
		if isSmall := len(answer) < len(large)/10; isSmall != (want == "gzip") {
			t.Errorf("Accept-Encoding %q: the answer has %d bytes", accept, len(answer))
		}
	}
}

// An RPC or a service that is not served is Unimplemented by all ways.
func TestWhatIsNotServedIsUnimplementedByAllWays(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for name, k := range map[string]kind{
		"an RPC that is not implemented": {name: "StreamingBothWays", clientStreams: true, serverStreams: true},
		"an RPC that no proto has":       {name: "Nothing"},
		"a service that no proto has":    {name: "Nothing", service: "made.up.Service"},
	} {
		t.Run(name, func(t *testing.T) {
			s.eachOf(t, []kind{k}, func(t *testing.T, k kind, l lane) {
				o := l.call(soon(t), call{kind: k, requests: []string{"a"}})
				if o.status.Code() != codes.Unimplemented {
					t.Errorf("got %v", o.status)
				}
			})
		})
	}
}

// Health and reflection are served by HTTP as by gRPC.
func TestHealthAndReflectionAreServedByHTTP(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	response, answer, err := post(soon(t), s.client(t, false), "http://"+s.http+"/grpc.health.v1.Health/Check", "application/json", []byte("{}"))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, HTTP %v: %s", err, response, answer)
	}
	health := &grpc_health_v1.HealthCheckResponse{}
	if err := protojson.Unmarshal(answer, health); err != nil || health.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("%v: %s", err, answer)
	}
	for _, addr := range []string{s.addr, s.http} {
		conn := s.dial(t, addr)
		watch, err := grpc_health_v1.NewHealthClient(conn).Watch(soon(t), &grpc_health_v1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if health, err := watch.Recv(); err != nil || health.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("%s: %v, %v", addr, health, err)
		}
		stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}}); err != nil {
			t.Fatal(err)
		}
		list, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, service := range list.GetListServicesResponse().GetService() {
			names = append(names, service.GetName())
		}
		if !slices.Contains(names, "grpc.testing.BenchmarkService") {
			t.Errorf("%s: the services are %q", addr, names)
		}
	}
}

// A deadline that passes while a stream is being written is how the stream ends.
func TestAStreamEndsWithItsDeadline(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.service.tail = func(stream testpb.BenchmarkService_StreamingFromServerServer) error {
		for stream.Context().Err() == nil {
			if err := stream.Send(reply(strings.Repeat("a", 100_000))); err != nil {
				return err
			}
		}
		return stream.Context().Err()
	}
	for _, client := range []*http.Client{s.client(t, false), s.client(t, true)} {
		response, answer, err := post(soon(t), client, "http://"+s.http+fromServer.method(), "application/connect+json", frame(0, []byte("{}")), "Connect-Timeout-Ms", "30")
		if err != nil {
			t.Fatal(err)
		}
		if got := inEndOfStream(response, answer); got.Code() != codes.DeadlineExceeded {
			t.Errorf("%s: got %v", response.Proto, got)
		}
	}
}

// A timeout that can't be read is refused. One that passes is the answer.
func TestTimeoutsOfConnectAreChecked(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.service.handles(func(ctx context.Context, _ []string) ([]string, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	for timeout, want := range map[string]struct {
		status int
		code   string
	}{"5": {http.StatusGatewayTimeout, "deadline_exceeded"}, "soon": {http.StatusBadRequest, "invalid_argument"}} {
		for _, client := range []*http.Client{s.client(t, false), s.client(t, true)} {
			response, answer, err := post(soon(t), client, "http://"+s.http+unary.method(), "application/json", []byte("{}"), "Connect-Timeout-Ms", timeout)
			if err != nil {
				t.Fatal(err)
			}
			failed := jsonError{}
			if err := json.Unmarshal(answer, &failed); err != nil || failed.Code != want.code || response.StatusCode != want.status {
				t.Errorf("%s: HTTP %d, %s", timeout, response.StatusCode, answer)
			}
		}
	}
}

// Binary metadata may be padded or not, as clients have it.
func TestBinaryMetadataMayBePadded(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	var got []string
	s.service.handles(func(ctx context.Context, _ []string) ([]string, error) {
		got = metadata.ValueFromIncomingContext(ctx, "x-bin")
		return []string{"b"}, nil
	})
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding} {
		_, _, err := post(soon(t), s.client(t, false), "http://"+s.http+unary.method(), "application/json", []byte("{}"), "X-Bin", encoding.EncodeToString([]byte("a")))
		if err != nil || !slices.Equal(got, []string{"a"}) {
			t.Errorf("got %q, %v", got, err)
		}
	}
}
