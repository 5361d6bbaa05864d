package web_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/web"
)

// testTimeout bounds how long a test waits for what must happen. It is far longer
// than that takes.
const testTimeout = time.Minute

// kind is a kind of RPC, and the RPC of gRPC's BenchmarkService that is one.
type kind struct {
	name                         string
	clientStreams, serverStreams bool
	service                      string // if it is another
}

var (
	unary      = kind{name: "UnaryCall"}
	fromClient = kind{name: "StreamingFromClient", clientStreams: true}
	fromServer = kind{name: "StreamingFromServer", serverStreams: true}
	bothWays   = kind{name: "StreamingCall", clientStreams: true, serverStreams: true}
	kinds      = []kind{unary, fromClient, fromServer, bothWays}
)

func (k kind) method() string {
	return "/" + cmp.Or(k.service, "grpc.testing.BenchmarkService") + "/" + k.name
}

// handler answers a call of any kind, with texts for texts.
type handler func(ctx context.Context, requests []string) (replies []string, err error)

// service answers all kinds of calls by the same handler, once it has all requests.
type service struct {
	testpb.UnimplementedBenchmarkServiceServer
	handler atomic.Pointer[handler]
	// These answer instead of handler, if they are set.
	tail func(testpb.BenchmarkService_StreamingFromServerServer) error
	talk func(testpb.BenchmarkService_StreamingCallServer) error
}

func (s *service) handles(h handler) { s.handler.Store(&h) }

func (s *service) handle(ctx context.Context, requests ...string) ([]string, error) {
	return (*s.handler.Load())(ctx, requests)
}

func textOf(message interface{ GetPayload() *testpb.Payload }) string {
	return string(message.GetPayload().GetBody())
}

func request(text string) *testpb.SimpleRequest {
	return &testpb.SimpleRequest{Payload: &testpb.Payload{Body: []byte(text)}}
}

func reply(text string) *testpb.SimpleResponse {
	return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: []byte(text)}}
}

func (s *service) UnaryCall(ctx context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	replies, err := s.handle(ctx, textOf(request))
	if err != nil {
		return nil, err
	}
	return reply(replies[0]), nil
}

func received(recv func() (*testpb.SimpleRequest, error)) (all []string, err error) {
	for {
		request, err := recv()
		if err == io.EOF { // as most handlers compare
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, textOf(request))
	}
}

func (s *service) StreamingFromClient(stream testpb.BenchmarkService_StreamingFromClientServer) error {
	requests, err := received(stream.Recv)
	if err != nil {
		return err
	}
	replies, err := s.handle(stream.Context(), requests...)
	if err != nil {
		return err
	}
	return stream.SendAndClose(reply(replies[0]))
}

func (s *service) StreamingFromServer(request *testpb.SimpleRequest, stream testpb.BenchmarkService_StreamingFromServerServer) error {
	if s.tail != nil {
		return s.tail(stream)
	}
	replies, err := s.handle(stream.Context(), textOf(request))
	if err != nil {
		return err
	}
	return sendAll(stream.Send, replies)
}

func (s *service) StreamingCall(stream testpb.BenchmarkService_StreamingCallServer) error {
	if s.talk != nil {
		return s.talk(stream)
	}
	requests, err := received(stream.Recv)
	if err != nil {
		return err
	}
	replies, err := s.handle(stream.Context(), requests...)
	if err != nil {
		return err
	}
	return sendAll(stream.Send, replies)
}

func sendAll(send func(*testpb.SimpleResponse) error, replies []string) error {
	for _, text := range replies {
		if err := send(reply(text)); err != nil {
			return err
		}
	}
	return nil
}

// rpcs is what guards know: the text of a request is the source of an event.
var rpcs = map[string]server.RPC{
	unary.name: {Sources: sources}, fromClient.name: {Sources: sources}, bothWays.name: {Sources: sources},
	fromServer.name: {Tails: true},
}

func sources(request any, each func(string) error) error {
	return each(textOf(request.(*testpb.SimpleRequest)))
}

// served is a server that serves a service by gRPC and by HTTP.
type served struct {
	service *service
	addr    string // of gRPC
	http    string // its address
	tls     *tls.Config
	stop    func() error // stops the server, once, and returns how it ended
}

// listeners is a log that receives the address of HTTP.
type listeners chan string

func (l listeners) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(attr slog.Attr) bool {
		if record.Message == "serving HTTP" && attr.Key == "addr" {
			l <- attr.Value.String()
		}
		return true
	})
	return nil
}

func (l listeners) Enabled(context.Context, slog.Level) bool { return true }

func (l listeners) WithAttrs([]slog.Attr) slog.Handler { return l }

func (l listeners) WithGroup(string) slog.Handler { return l }

// settings are a configuration that tests change.
type settings struct {
	server.Config
	web   web.Config
	rules func(proto.Message) error // of requests; nil for none
}

// serve starts a server, which serves until the test ends.
func serve(t *testing.T, change func(*settings), options ...server.Option) *served {
	t.Helper()
	config := settings{Config: server.Defaults("test-server")}
	config.DrainTimeout, config.ReceiveTimeout = testTimeout, testTimeout // which a busy machine may need
	config.Addr, config.web.Addr = "127.0.0.1:0", "127.0.0.1:0"
	if change != nil {
		change(&config)
	}
	s, listens := &served{service: &service{}}, make(listeners, 1)
	options = append(options, config.web.Option(), server.Logger(slog.New(listens)), server.Service{
		Desc: &testpb.BenchmarkService_ServiceDesc, Impl: s.service, RPCs: rpcs,
		Rules: func() (func(proto.Message) error, error) { return config.rules, nil },
	})
	listening, err := server.Listen(config.Config, options...)
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listening.Addr()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- listening.Serve(ctx) }()
	select {
	case s.http = <-listens:
	case err := <-ended:
		t.Fatalf("the server ended: %v", err)
	}
	s.stop = sync.OnceValue(func() error {
		stop()
		return <-ended
	})
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("the server ended: %v", err)
		}
	})
	return s
}

// call is what a client sends.
type call struct {
	kind
	requests []string
	metadata metadata.MD
	gzip     bool // the requests; the replies may always be
}

// outcome is what a client gets.
type outcome struct {
	replies         []string
	status          *status.Status
	header, trailer metadata.MD
	http            int // the status of HTTP; 0 if the lane does not show it
}

// lane is a way to call the server.
type lane struct {
	name string
	// unary is true if only such RPCs can be called by it. By HTTP/1.1 none can be called
	// in which both sides stream.
	unary, http1 bool
	// inStatus is true if the status of HTTP says how unary calls end.
	inStatus bool
	call     func(ctx context.Context, c call) outcome
	open     func(ctx context.Context, k kind) (conversation, error) // nil for "JSON by hand"
}

// conversation is a call under way.
type conversation interface {
	send(text string) error
	closeSend() error
	receive() (string, error) // io.EOF, or an error that has a status
}

func (l lane) can(k kind) bool {
	return (!l.unary || !k.clientStreams && !k.serverStreams) && (!l.http1 || !k.clientStreams || !k.serverStreams)
}

// lanes returns all ways to call a server.
func (s *served) lanes(t *testing.T) []lane {
	t.Helper()
	h1, h2 := s.client(t, false), s.client(t, true)
	scheme := "http://"
	if s.tls != nil {
		scheme = "https://"
	}
	by := func(l lane, client *http.Client, options ...connecthttp.Option) lane {
		l.call = byConnect(client, scheme+s.http, options...)
		l.open = openConnect(client, scheme+s.http, options...)
		return l
	}
	own, other := s.dial(t, s.addr), s.dial(t, s.http)
	return []lane{
		{name: "gRPC", call: byGRPC(own), open: openGRPC(own)},
		{name: "gRPC by the port of HTTP", call: byGRPC(other), open: openGRPC(other)},
		by(lane{name: "gRPC-Web", http1: true}, h1, connecthttp.WithGRPCWeb()),
		by(lane{name: "gRPC-Web with JSON by HTTP/2"}, h2, connecthttp.WithGRPCWeb(), connecthttp.WithProtoJSON()),
		by(lane{name: "Connect", http1: true, inStatus: true}, h1),
		by(lane{name: "Connect with JSON by HTTP/2", inStatus: true}, h2, connecthttp.WithProtoJSON()),
		{name: "JSON by hand", unary: true, http1: true, inStatus: true, call: byHand(h1, scheme+s.http)},
	}
}

// each calls a function for each kind of RPC and each lane that has it.
func (s *served) each(t *testing.T, test func(t *testing.T, k kind, l lane)) {
	t.Helper()
	s.eachOf(t, kinds, test)
}

func (s *served) eachOf(t *testing.T, kinds []kind, test func(t *testing.T, k kind, l lane)) {
	t.Helper()
	lanes := s.lanes(t)
	for _, k := range kinds {
		for _, l := range lanes {
			if l.can(k) {
				t.Run(k.name+"/"+l.name, func(t *testing.T) { test(t, k, l) })
			}
		}
	}
}

func (s *served) dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	creds := insecure.NewCredentials()
	if s.tls != nil {
		creds = credentials.NewTLS(s.tls)
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// client returns a client of HTTP/1.1 or of HTTP/2.
func (s *served) client(t *testing.T, http2 bool) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: s.tls, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetHTTP2(http2)
	transport.Protocols.SetUnencryptedHTTP2(http2)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// byGRPC calls by gRPC's own client.
func byGRPC(conn *grpc.ClientConn) func(context.Context, call) outcome {
	return func(ctx context.Context, c call) (o outcome) {
		options := []grpc.CallOption{grpc.MaxCallRecvMsgSize(16 << 20)}
		if c.gzip {
			options = append(options, grpc.UseCompressor(grpcgzip.Name))
		}
		ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(ctx, c.metadata))
		defer cancel()
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: c.clientStreams, ServerStreams: c.serverStreams}, c.method(), options...)
		if err != nil {
			return outcome{status: status.Convert(err)}
		}
		for _, text := range c.requests {
			if stream.SendMsg(request(text)) != nil {
				break // what is received says why
			}
		}
		_ = stream.CloseSend()
		for {
			reply := &testpb.SimpleResponse{}
			if err = stream.RecvMsg(reply); err != nil {
				break
			}
			o.replies = append(o.replies, textOf(reply))
			if !c.serverStreams {
				break
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		o.status = status.Convert(err)
		o.header, _ = stream.Header()
		o.trailer = stream.Trailer()
		return o
	}
}

// byConnect calls by connect's client.
func byConnect(client *http.Client, url string, options ...connecthttp.Option) func(context.Context, call) outcome {
	return func(ctx context.Context, c call) (o outcome) {
		if c.gzip {
			options = append(slices.Clone(options), connecthttp.WithSendGzip())
		}
		ctx, info := connect.NewClientContext(ctx)
		for name, values := range c.metadata {
			for _, value := range values {
				if strings.HasSuffix(name, "-bin") {
					value = connect.EncodeBinaryHeader([]byte(value))
				}
				info.RequestHeader().Add(name, value)
			}
		}
		stream, err := connecthttp.NewTransport(client, url, options...).NewClientStream(ctx, specOf(c.kind))
		if err != nil {
			return outcome{status: statusOf(err)}
		}
		defer stream.Close()
		for _, text := range c.requests {
			if stream.Send(request(text)) != nil {
				break // what is received says why
			}
		}
		_ = stream.CloseSend()
		for {
			reply := &testpb.SimpleResponse{}
			if err = stream.Receive(reply); err != nil {
				break
			}
			o.replies = append(o.replies, textOf(reply))
			if !c.serverStreams && !c.clientStreams {
				break
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		o.status = statusOf(err)
		o.header, o.trailer = metadataOf(info.ResponseHeader()), metadataOf(info.ResponseTrailer())
		if client, ok := connecthttp.ClientInfoForContext(ctx); ok {
			o.http = client.ResponseStatus()
		}
		return o
	}
}

func specOf(k kind) connect.Spec {
	spec := connect.Spec{Procedure: k.method()}
	if k.clientStreams {
		spec.StreamType |= connect.StreamTypeClient
	}
	if k.serverStreams {
		spec.StreamType |= connect.StreamTypeServer
	}
	return spec
}

type grpcConversation struct{ grpc.ClientStream }

func openGRPC(conn *grpc.ClientConn) func(context.Context, kind) (conversation, error) {
	return func(ctx context.Context, k kind) (conversation, error) {
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: k.clientStreams, ServerStreams: k.serverStreams}, k.method())
		return grpcConversation{stream}, err
	}
}

func (c grpcConversation) send(text string) error { return c.SendMsg(request(text)) }

func (c grpcConversation) closeSend() error { return c.CloseSend() }

func (c grpcConversation) receive() (string, error) {
	reply := &testpb.SimpleResponse{}
	err := c.RecvMsg(reply)
	return textOf(reply), err
}

type connectConversation struct{ connect.ClientStream }

func openConnect(client *http.Client, url string, options ...connecthttp.Option) func(context.Context, kind) (conversation, error) {
	return func(ctx context.Context, k kind) (conversation, error) {
		ctx, _ = connect.NewClientContext(ctx)
		stream, err := connecthttp.NewTransport(client, url, options...).NewClientStream(ctx, specOf(k))
		if err == nil && k.clientStreams && k.serverStreams {
			err = stream.SendHeaders()
		}
		return connectConversation{stream}, err
	}
}

func (c connectConversation) send(text string) error { return c.Send(request(text)) }

func (c connectConversation) closeSend() error { return c.CloseSend() }

func (c connectConversation) receive() (string, error) {
	reply := &testpb.SimpleResponse{}
	err := c.Receive(reply)
	switch {
	case errors.Is(err, io.EOF):
		err = io.EOF
	case err != nil:
		err = statusOf(err).Err()
	}
	return textOf(reply), err
}

// statusOf returns an error of connect as a status of gRPC.
func statusOf(err error) *status.Status {
	if err == nil {
		return nil
	}
	found := (*connect.Error)(nil)
	if !errors.As(err, &found) {
		return status.New(codes.Unknown, "not an error of connect: "+err.Error())
	}
	s := &statuspb.Status{Code: int32(found.Code()), Message: found.Message()}
	for _, detail := range found.Details() {
		s.Details = append(s.Details, &anypb.Any{TypeUrl: "type.googleapis.com/" + detail.Type, Value: detail.Value})
	}
	return status.FromProto(s)
}

func metadataOf(headers *connect.Header) metadata.MD {
	md := metadata.MD{}
	for name, values := range headers.All() {
		for _, value := range values {
			if strings.HasSuffix(strings.ToLower(name), "-bin") {
				if decoded, err := connect.DecodeBinaryHeader(value); err == nil {
					value = string(decoded)
				}
			}
			md.Append(name, value)
		}
	}
	return md
}

// jsonError is an error as Connect has it in JSON.
type jsonError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Details []struct {
		Type  string          `json:"type"`
		Value string          `json:"value"`
		Debug json.RawMessage `json:"debug"`
	} `json:"details"`
}

// status returns the error as a status of gRPC.
func (e jsonError) status() *status.Status {
	code := connect.Code(0)
	if err := code.UnmarshalText([]byte(e.Code)); err != nil {
		return status.New(codes.Unknown, "code "+strconv.Quote(e.Code)+" in an answer")
	}
	s := &statuspb.Status{Code: int32(code), Message: e.Message}
	for _, detail := range e.Details {
		value, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(detail.Value, "="))
		if err != nil {
			return status.New(codes.Unknown, "detail "+strconv.Quote(detail.Value)+" in an answer")
		}
		s.Details = append(s.Details, &anypb.Any{TypeUrl: "type.googleapis.com/" + detail.Type, Value: value})
	}
	return status.FromProto(s)
}

// post posts a request as curl does, and returns the response with its body, which is not
// compressed.
func post(ctx context.Context, client *http.Client, url, contentType string, body []byte, headers ...string) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Content-Type", contentType)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	response, err := client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response, answer, err
}

// byHand calls as curl does, with no library of connect's.
func byHand(client *http.Client, url string) func(context.Context, call) outcome {
	return func(ctx context.Context, c call) (o outcome) {
		body, err := protojson.Marshal(request(c.requests[0]))
		if err != nil {
			return outcome{status: status.Convert(err)}
		}
		var headers []string
		for name, values := range c.metadata {
			for _, value := range values {
				if strings.HasSuffix(name, "-bin") {
					value = base64.StdEncoding.EncodeToString([]byte(value))
				}
				headers = append(headers, name, value)
			}
		}
		if deadline, ok := ctx.Deadline(); ok {
			headers = append(headers, "Connect-Timeout-Ms", strconv.FormatInt(time.Until(deadline).Milliseconds(), 10))
		}
		if c.gzip {
			headers = append(headers, "Content-Encoding", "gzip")
			body = compressed(body)
		}
		response, answer, err := post(ctx, client, url+c.method(), "application/json", body, headers...)
		if err != nil {
			return outcome{status: status.FromContextError(err)}
		}
		o = outcome{http: response.StatusCode, header: metadata.MD{}, trailer: metadata.MD{}}
		for name, values := range response.Header {
			into := o.header
			if trailer, ok := strings.CutPrefix(name, "Trailer-"); ok {
				into, name = o.trailer, trailer
			}
			for _, value := range values {
				if strings.HasSuffix(strings.ToLower(name), "-bin") {
					decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
					if err != nil {
						return outcome{status: status.New(codes.Unknown, name+" in an answer: "+err.Error())}
					}
					value = string(decoded)
				}
				into.Append(name, value)
			}
		}
		if response.StatusCode != http.StatusOK {
			failed := jsonError{}
			if err := json.Unmarshal(answer, &failed); err != nil {
				return outcome{status: status.Newf(codes.Unknown, "HTTP %d: %s", response.StatusCode, answer)}
			}
			o.status = failed.status()
			return o
		}
		reply := &testpb.SimpleResponse{}
		if err := protojson.Unmarshal(answer, reply); err != nil {
			return outcome{status: status.Newf(codes.Unknown, "%s in an answer: %v", answer, err)}
		}
		o.replies = []string{textOf(reply)}
		return o
	}
}

func compressed(body []byte) []byte {
	var into bytes.Buffer
	w := gzip.NewWriter(&into)
	_, _ = w.Write(body) // neither can fail
	_ = w.Close()
	return into.Bytes()
}

// soon returns a context that ends with the test. It has no deadline: that would be sent.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	timer := time.AfterFunc(testTimeout, cancel)
	t.Cleanup(func() { timer.Stop(); cancel() })
	return ctx
}

// isDetail reports whether a status has exactly the given details.
func hasDetails(s *status.Status, want ...proto.Message) bool {
	got := s.Proto().GetDetails()
	return slices.EqualFunc(got, want, func(got *anypb.Any, want proto.Message) bool {
		message, err := got.UnmarshalNew()
		return err == nil && proto.Equal(message, want)
	})
}

func wrapped(t *testing.T, message proto.Message) *anypb.Any {
	t.Helper()
	packed, err := anypb.New(message)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}
