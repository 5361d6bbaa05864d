package web

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

func TestJSONIsStrict(t *testing.T) {
	s := serveTest(t, &service{}, nil)
	for _, test := range []struct{ body, want string }{
		{`{"playload":{}}`, `the request is not a valid grpc.testing.SimpleRequest: line 1, column 2: grpc.testing.SimpleRequest has no field "playload": did you mean "payload"?`},
		{"{\"payload\":\n {\"body\":\"\", \"x\":1}}", `line 2, column 14: grpc.testing.Payload has no field "x"`},
		{`{"payload":{"body":"%"}}`, `invalid value for bytes field body: "%"`},
		{`{"responseSize":"many"}`, `invalid value for int32 field responseSize: "many"`},
		{`{"responseSize":1,"responseSize":2}`, `duplicate field "responseSize"`},
		{`{"responseSize":1,"response_size":2}`, `duplicate field "response_size"`},
		{`{"responseType":"NONE"}`, `invalid value for enum field responseType: "NONE"`},
		{`[]`, `unexpected token [`},
		{`{} {}`, `unexpected token {`},
		{``, `it is empty; without fields it is {}`},
		{`{"payload":`, `unexpected EOF`},
		{`{"` + strings.Repeat("long", 100) + `":1}`, `has no field "long`},
	} {
		response, answer := post(t, protocolClient(t, false), s.url+unaryPath, test.body)
		message := strings.NewReplacer(`\"`, `"`).Replace(answer)
		if response.StatusCode != http.StatusBadRequest || code(answer) != "invalid_argument" || !strings.Contains(message, test.want) ||
			!strings.Contains(message, "the request is not a valid grpc.testing.SimpleRequest: ") || strings.Contains(message, "proto:") || len(answer) > 500 {
			t.Errorf("%.80s: %s: %s\nwant %s", test.body, response.Status, answer, test.want)
		}
	}
}

func TestErrorsHaveTheirStatusAndDetails(t *testing.T) {
	var answers error
	s := serveTest(t, &service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) { return nil, answers }}, nil)
	detailed, err := status.New(codes.Unavailable, "later").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		err        error
		code, says string
		status     int
		retry      string
	}{
		{detailed.Err(), "unavailable", `"google.rpc.RetryInfo"`, 503, "2"},
		{fmt.Errorf("secret: %w", status.Error(codes.NotFound, "no such order")), "not_found", `"message":"no such order"`, 404, ""},
		{errors.New("the password is 123"), "internal", `"message":"internal error"`, 500, ""},
		{status.Error(codes.Code(77), "strange"), "unknown", "strange", 500, ""},
		{status.Error(codes.Unauthenticated, "who are you?"), "unauthenticated", "who", 401, ""},
		{status.Error(codes.AlreadyExists, "other content"), "already_exists", "other", 409, ""},
	} {
		answers = test.err
		response, answer := post(t, protocolClient(t, false), s.url+unaryPath, "{}")
		if response.StatusCode != test.status || code(answer) != test.code || !strings.Contains(answer, test.says) || strings.Contains(answer, "secret") {
			t.Errorf("%v: %s: %s", test.err, response.Status, answer)
		}
		if got, blamed := response.Header.Get("X-Request-Id"), test.status >= 500; (got != "") != blamed {
			t.Errorf("%v: X-Request-Id is %q", test.err, got)
		}
		if got := response.Header.Get("Retry-After"); got != test.retry {
			t.Errorf("%v: Retry-After is %q, want %q", test.err, got, test.retry)
		}
	}
}

func TestAPanicEndsTheCallAlone(t *testing.T) {
	s := serveTest(t, &service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) { panic("secret") }}, nil)
	response, answer := post(t, protocolClient(t, false), s.url+unaryPath, "{}")
	if response.StatusCode != http.StatusInternalServerError || strings.Contains(answer, "secret") {
		t.Errorf("%s: %s", response.Status, answer)
	}
}

func TestRequestsThatAreNotCallsAreExplained(t *testing.T) {
	s := serveTest(t, &service{}, nil)
	for _, test := range []struct {
		method, path, kind string
		status             int
		says               string
	}{
		{"POST", "/grpc.testing.TestService/Nothing", "application/json", 404, "there is no RPC at /grpc.testing.TestService/Nothing"},
		{"GET", "/", "", 404, "/package.Service/Method"},
		{"POST", unaryPath, "", 415, "set Content-Type to one of application/json, application/"},
		{"POST", unaryPath, "application/x-www-form-urlencoded", 415, `no content type "application/x-www-form-urlencoded"`},
		{"POST", unaryPath, "text/plain", 415, "application/json"},
		{"POST", tailPath, "application/json", 415, "a stream takes application/connect+json"},
		{"POST", tailPath, "application/json; charset=utf-8", 415, "a stream takes application/connect+json"},
		{"POST", tailPath, "text/plain", 415, "set Content-Type to one of application/connect+json"},
		{"POST", "/events", "application/json", 404, "there is no RPC at /events"},
		{"POST", "//x", "application/json", 404, "there is no RPC at //x"},
		{"PUT", unaryPath, "application/json", 405, "takes POST, not PUT"},
		{"GET", unaryPath + "?encoding=json&message={}", "", 405, "NO_SIDE_EFFECTS"},
		{"POST", bothPath, "application/connect+json", 505, "HTTP/2"},
	} {
		request, _ := http.NewRequest(test.method, s.url+test.path, strings.NewReader("{}"))
		if test.kind != "" {
			request.Header.Set("Content-Type", test.kind)
		}
		response, answer := do(t, protocolClient(t, false), request)
		if response.StatusCode != test.status || !strings.Contains(answer, test.says) || strings.Contains(answer, "charset=utf-8,") {
			t.Errorf("%s %s as %q: %s: %s", test.method, test.path, test.kind, response.Status, answer)
		}
	}
}

func TestMetadataGoesBothWays(t *testing.T) {
	var got metadata.MD
	var from caller
	s := serveTest(t, &service{unary: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		got, _ = metadata.FromIncomingContext(ctx)
		p, _ := peer.FromContext(ctx)
		from = caller{p.Addr.String(), p.AuthInfo != nil}
		if err := grpc.SetHeader(ctx, metadata.Pairs("event-id", "1", "answer-bin", "\x00\x01", "content-length", "3", "connection", "close", "content-type", "text/html")); err != nil {
			return nil, err
		}
		if err := grpc.SetHeader(ctx, metadata.Pairs("bad", "line\r\nbreak")); status.Code(err) != codes.Internal {
			return nil, fmt.Errorf("a line break: %v", err)
		}
		if err := grpc.SendHeader(ctx, metadata.Pairs("sent", "2")); err != nil {
			return nil, err
		}
		if err := grpc.SetHeader(ctx, metadata.Pairs("late", "3")); status.Code(err) != codes.Internal {
			return nil, fmt.Errorf("a header after they were sent: %v", err)
		}
		return &testpb.SimpleResponse{}, grpc.SetTrailer(ctx, metadata.Pairs("last", "4"))
	}}, nil)
	response, answer := post(t, protocolClient(t, false), s.url+unaryPath, "{}", "Event-Id", "e1", "Authorization", "Bearer k", "Key-Bin", "AAE",
		"X-Forwarded-For", "10.0.0.1", "Connect-Timeout-Ms", "5000", "Grpc-Timeout", "1n", "Grpc-Status", "0")
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", response.Status, answer)
	}
	for name, want := range map[string][]string{
		"event-id": {"e1"}, "authorization": {"Bearer k"}, "key-bin": {"\x00\x01"}, "x-forwarded-for": {"10.0.0.1"},
		":authority": {strings.TrimPrefix(s.url, "http://")}, "content-type": {"application/json"},
		"connect-timeout-ms": nil, "grpc-timeout": nil, "grpc-status": nil, "accept-encoding": nil,
	} {
		if !slices.Equal(got[name], want) {
			t.Errorf("the handler has %s %q, want %q", name, got[name], want)
		}
	}
	if !strings.HasPrefix(from.addr, "127.0.0.1:") && !strings.HasPrefix(from.addr, "[::1]:") || from.authenticated {
		t.Errorf("the peer is %v", from)
	}
	for name, want := range map[string]string{"Event-Id": "1", "Answer-Bin": "AAE", "Sent": "2", "Late": "", "Trailer-Last": "4", "Bad": "", "Content-Type": "application/json", "Connection": ""} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("the caller has %s %q, want %q", name, got, want)
		}
	}
	if response, answer := post(t, protocolClient(t, false), s.url+unaryPath, "{}", "Key-Bin", "%"); code(answer) != "invalid_argument" || !strings.Contains(answer, "key-bin") {
		t.Errorf("%s: %s", response.Status, answer)
	}
}

type caller struct {
	addr          string
	authenticated bool
}

func TestStreams(t *testing.T) {
	upload := func(stream testpb.TestService_StreamingInputCallServer) error {
		total := 0
		for {
			request, err := stream.Recv()
			if err == io.EOF {
				return stream.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(total)})
			}
			if err != nil {
				return err
			}
			total += len(request.GetPayload().GetBody())
		}
	}
	tail := func(request *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
		for _, parameters := range request.ResponseParameters {
			if err := stream.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, parameters.Size)}}); err != nil {
				return err
			}
		}
		return status.Error(codes.OutOfRange, "that is all")
	}
	s := serveTest(t, &service{upload: upload, tail: tail}, nil)
	for _, two := range []bool{false, true} {
		client := protocolClient(t, two)
		_, answer := post(t, client, s.url+uploadPath, frame(0, body(3))+frame(0, body(40_000))+frame(0, ""), "Content-Type", "application/connect+json")
		if want := frame(0, `{"aggregatedPayloadSize":40003}`) + frame(2, "{}"); answer != want {
			t.Errorf("%q, want %q", answer, want)
		}
		_, answer = post(t, client, s.url+tailPath, frame(0, `{"responseParameters":[{"size":1},{"size":100000}]}`), "Content-Type", "application/connect+json")
		if code(answer) != "out_of_range" || strings.Count(answer, `"payload":`) != 2 {
			t.Errorf("%.200q … %.200q", answer, answer[max(0, len(answer)-200):])
		}
		_, answer = post(t, client, s.url+tailPath, frame(0, "{}")+frame(0, "{}"), "Content-Type", "application/connect+json")
		if code(answer) != "unimplemented" {
			t.Errorf("two requests for a tail: %q", answer)
		}
	}
}

// readsFile is the proto of a service that has an RPC without side effects.
var readsFile = &descriptorpb.FileDescriptorProto{
	Name: proto.String("web/test/reads.proto"), Package: proto.String("web.test"), Syntax: proto.String("proto3"),
	Dependency: []string{testpb.File_grpc_testing_messages_proto.Path()},
	Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Reads"), Method: []*descriptorpb.MethodDescriptorProto{{
		Name: proto.String("Read"), InputType: proto.String(".grpc.testing.SimpleRequest"), OutputType: proto.String(".grpc.testing.SimpleResponse"),
		Options: &descriptorpb.MethodOptions{IdempotencyLevel: descriptorpb.MethodOptions_NO_SIDE_EFFECTS.Enum()},
	}}}},
}

func TestHTTPGetIsForRPCsWithoutSideEffects(t *testing.T) {
	file, err := protodesc.NewFile(readsFile, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	if err := protoregistry.GlobalFiles.RegisterFile(file); err != nil && !strings.Contains(err.Error(), "already") {
		t.Fatal(err)
	}
	desc := testpb.TestService_ServiceDesc
	desc.ServiceName, desc.Streams = "web.test.Reads", nil
	for _, method := range testpb.TestService_ServiceDesc.Methods {
		if method.MethodName == "UnaryCall" {
			method.MethodName = "Read"
			desc.Methods = []grpc.MethodDesc{method}
		}
	}
	s := serveTest(t, &service{}, nil, server.Service{Desc: &desc, Impl: &service{}})
	for query, want := range map[string]int{
		"encoding=json&message=" + url.QueryEscape(body(3)):                                                                     200,
		"encoding=json&base64=1&message=" + base64.RawURLEncoding.EncodeToString([]byte(body(3))):                               200,
		"encoding=json&base64=1&compression=gzip&message=" + base64.RawURLEncoding.EncodeToString([]byte(gzipped(body(3)))):     200,
		"encoding=json&base64=1&compression=gzip&message=" + base64.RawURLEncoding.EncodeToString([]byte(gzipped(body(4<<20)))): 429,
		"encoding=json&message=" + url.QueryEscape(`{"x":1}`):                                                                   400,
		"encoding=json": 400,
		"":              415,
	} {
		request, _ := http.NewRequest(http.MethodGet, s.url+"/web.test.Reads/Read?"+query, nil)
		response, answer := do(t, protocolClient(t, false), request)
		if response.StatusCode != want || answer == "" {
			t.Errorf("%.100s: %s: %s, want %d", query, response.Status, answer, want)
		}
	}
}

func TestGuardsAndInterceptorsSeeCalls(t *testing.T) {
	var seen []string
	guard := server.Guard{Admit: func(ctx context.Context, call server.Call) (context.Context, error) {
		seen = append(seen, "guard "+call.Method)
		md, _ := metadata.FromIncomingContext(ctx)
		if md.Get("authorization") == nil {
			return nil, status.Error(codes.Unauthenticated, "no key")
		}
		return ctx, nil
	}}
	s := serveTest(t, &service{}, nil, server.Guards(guard), server.UnaryInterceptors(
		func(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			seen = append(seen, "interceptor "+info.FullMethod)
			return next(ctx, request)
		}))
	response, answer := post(t, protocolClient(t, false), s.url+unaryPath, "not decoded, since it is refused before")
	if response.StatusCode != http.StatusUnauthorized || !strings.Contains(answer, "no key") {
		t.Errorf("%s: %s", response.Status, answer)
	}
	if response, answer = post(t, protocolClient(t, false), s.url+unaryPath, "{}", "Authorization", "x"); response.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", response.Status, answer)
	}
	if want := []string{"guard " + unaryPath, "guard " + unaryPath, "interceptor " + unaryPath}; !slices.Equal(seen, want) {
		t.Errorf("%q, want %q", seen, want)
	}
}

func TestHealthIsServed(t *testing.T) {
	s := serveTest(t, &service{}, nil)
	response, answer := post(t, protocolClient(t, false), s.url+"/grpc.health.v1.Health/Check", `{"service":"grpc.testing.TestService"}`)
	if response.StatusCode != http.StatusOK || answer != `{"status":"SERVING"}` {
		t.Errorf("%s: %s", response.Status, answer)
	}
}

// TestCallsHaveIDs, as those of gRPC have: the caller's own or one that is made.
func TestCallsHaveIDs(t *testing.T) {
	var id string
	s := serveTest(t, &service{unary: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		id = server.RequestID(ctx)
		return nil, errors.New("disk on fire")
	}}, nil)
	for _, sent := range []string{"report-17", ""} {
		response, _ := post(t, protocolClient(t, false), s.url+unaryPath, "{}", "X-Request-Id", sent)
		if got := response.Header.Get("X-Request-Id"); got == "" || got != id || sent != "" && id != sent {
			t.Errorf("the id is %q, and the caller gets %q", id, got)
		}
	}
}
