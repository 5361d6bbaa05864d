package web

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// headers are what metadata is added to.
type headers interface{ Add(name, value string) }

// stream is a call by HTTP as handlers of gRPC see it.
type stream struct {
	messages
	ctx              context.Context
	method           string
	call             *server.PortCall
	headers, trailer headers
	sent             bool // the headers
	stop             func() bool
}

// stream returns the call as a stream of gRPC. What is sent goes to headers and trailer.
func (x *exchange) stream(ctx context.Context, by messages, headers, trailer headers) (*stream, error) {
	md, err := incomingMetadata(x.request)
	if err != nil {
		return nil, err
	}
	s := &stream{messages: by, method: x.rpc.Method, call: x.call, headers: headers, trailer: trailer, stop: func() bool { return false }}
	if _, ok := ctx.Deadline(); ok {
		s.stop = context.AfterFunc(ctx, x.expire)
	}
	from := &peer.Peer{Addr: x.from.RemoteAddr(), LocalAddr: x.from.LocalAddr()}
	if x.request.TLS != nil {
		from.AuthInfo = credentials.TLSInfo{
			State:          *x.request.TLS,
			CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
		}
	}
	ctx = peer.NewContext(metadata.NewIncomingContext(ctx, md), from)
	s.ctx = grpc.NewContextWithServerTransportStream(ctx, transport{s})
	return s, nil
}

// notMetadata are headers of HTTP and of the protocols, which are not metadata of a call.
var notMetadata = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Connection": true, "Content-Encoding": true, "Content-Length": true,
	"Expect": true, "Host": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Trailer": true,
	"Transfer-Encoding": true, "Upgrade": true,
	"Connect-Accept-Encoding": true, "Connect-Content-Encoding": true, "Connect-Protocol-Version": true, "Connect-Timeout-Ms": true,
	"Grpc-Accept-Encoding": true, "Grpc-Encoding": true, "Grpc-Message": true, "Grpc-Message-Type": true,
	"Grpc-Status": true, "Grpc-Status-Details-Bin": true, "Grpc-Timeout": true, "X-Grpc-Web": true,
}

// incomingMetadata returns the headers of a request as metadata.
func incomingMetadata(r *http.Request) (metadata.MD, error) {
	all := make(metadata.MD, len(r.Header)+1)
	all[":authority"] = []string{r.Host}
	for name, values := range r.Header {
		if notMetadata[name] {
			continue
		}
		name = strings.ToLower(name)
		if !strings.HasSuffix(name, "-bin") {
			all[name] = values
			continue
		}
		for _, value := range values {
			for part := range strings.SplitSeq(value, ",") { // as gRPC joins them
				decoded, err := connect.DecodeBinaryHeader(strings.TrimSpace(part))
				if err != nil {
					return nil, status.Errorf(codes.InvalidArgument, "the header %s is not in base64, as those are whose names end with -bin", name)
				}
				all[name] = append(all[name], string(decoded))
			}
		}
	}
	return all, nil
}

// isReserved reports whether a handler may not set a header, since HTTP or a protocol
// does. gRPC drops such metadata, too.
func isReserved(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return notMetadata[name] || name == "Content-Type" || name == "Date" || name == "User-Agent" ||
		strings.HasPrefix(name, ":") || strings.HasPrefix(name, "Access-Control-")
}

// check returns an error for metadata that can't be sent, as gRPC does.
func check(all metadata.MD) error {
	for name, values := range all {
		for i := range len(name) {
			if c := name[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_') {
				return status.Errorf(codes.Internal, "header key %q contains illegal characters not in [0-9a-z-_.]", name)
			}
		}
		if strings.HasSuffix(name, "-bin") {
			continue
		}
		for _, value := range values {
			for i := range len(value) {
				if value[i] < 0x20 || value[i] > 0x7e {
					return status.Errorf(codes.Internal, "header key %q contains value with non-printable ASCII characters", name)
				}
			}
		}
	}
	return nil
}

// add adds metadata to headers.
func add(to headers, all metadata.MD) {
	for name, values := range all {
		if isReserved(name) {
			continue
		}
		for _, value := range values {
			if strings.HasSuffix(name, "-bin") {
				value = connect.EncodeBinaryHeader([]byte(value))
			}
			to.Add(name, value)
		}
	}
}

func (s *stream) Context() context.Context { return s.ctx }

// errHeadersSent is what gRPC returns, too.
var errHeadersSent = status.Error(codes.Internal, "transport: SendHeader called multiple times")

func (s *stream) SetHeader(md metadata.MD) error {
	if len(md) == 0 {
		return nil
	}
	if err := check(md); err != nil {
		return err
	}
	if s.sent {
		return errHeadersSent
	}
	add(s.headers, md)
	return nil
}

func (s *stream) SendHeader(md metadata.MD) error {
	if s.sent {
		return errHeadersSent
	}
	if err := s.SetHeader(md); err != nil {
		return err
	}
	s.sent = true
	return s.sendHeaders()
}

func (s *stream) SetTrailer(md metadata.MD) {
	if check(md) == nil {
		add(s.trailer, md)
	}
	if id := md.Get("x-request-id"); len(id) > 0 && !s.sent { // where callers by HTTP look for it
		add(s.headers, metadata.Pairs("x-request-id", id[0]))
	}
}

func (s *stream) SendMsg(message any) error {
	reply, ok := message.(proto.Message)
	if !ok {
		return status.Errorf(codes.Internal, "%T is not a message of protobuf, which is all that can be sent by HTTP", message)
	}
	s.sent = true
	return s.send(reply)
}

func (s *stream) RecvMsg(into any) error {
	request, ok := into.(proto.Message)
	if !ok {
		return status.Errorf(codes.Internal, "%T is not a message of protobuf, which is all that can be received by HTTP", into)
	}
	if err := s.call.Next(); err != nil {
		return err
	}
	return s.receive(request)
}

// transport is what [grpc.SetHeader] and others use.
type transport struct{ *stream }

func (t transport) Method() string { return t.method }

func (t transport) SetTrailer(md metadata.MD) error {
	if err := check(md); err != nil {
		return err
	}
	t.stream.SetTrailer(md)
	return nil
}

// grpcCode and connectCode are the same numbers; others are unknown.
func grpcCode(code connect.Code) codes.Code {
	if code < connect.CodeCanceled || code > connect.CodeUnauthenticated {
		return codes.Unknown
	}
	return codes.Code(code)
}

// connectError returns the status of an RPC as connect sends it.
func connectError(err error) *connect.Error {
	from := status.Convert(err)
	code := connect.Code(from.Code())
	if code > connect.CodeUnauthenticated {
		code = connect.CodeUnknown
	}
	to := connect.NewError(code, from.Message())
	for _, detail := range from.Proto().GetDetails() {
		to = to.WithDetail(&connect.ErrorDetail{Type: detail.GetTypeUrl()[strings.LastIndexByte(detail.GetTypeUrl(), '/')+1:], Value: detail.GetValue()})
	}
	return to
}

// retryAfter returns after how many seconds a call may be tried again, if its error says
// so; else "".
func retryAfter(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			seconds := math.Ceil(float64(retry.GetRetryDelay().AsDuration()) / float64(time.Second))
			return strconv.FormatFloat(max(seconds, 1), 'f', 0, 64)
		}
	}
	return ""
}
