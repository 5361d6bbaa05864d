package web

import (
	"context"
	"net"
	"strings"

	"connectrpc.com/connect/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// stream is a call by HTTP as handlers of gRPC see it.
type stream struct {
	connect.ServerStream
	ctx    context.Context
	method string
	call   *connect.CallInfo
}

func newStream(ctx context.Context, method string, of connect.ServerStream) *stream {
	call, _ := connect.CallInfoForServerContext(ctx)
	s := &stream{ServerStream: of, method: method, call: call}
	ctx = metadata.NewIncomingContext(ctx, incoming(call.RequestHeader()))
	if at, err := net.ResolveTCPAddr("tcp", call.PeerAddr); err == nil {
		ctx = peer.NewContext(ctx, &peer.Peer{Addr: at})
	}
	s.ctx = grpc.NewContextWithServerTransportStream(ctx, transport{s})
	return s
}

// incoming returns the headers of a request as metadata.
func incoming(headers *connect.Header) metadata.MD {
	all := metadata.MD{}
	for name, values := range headers.All() {
		name = strings.ToLower(name)
		for _, value := range values {
			if strings.HasSuffix(name, "-bin") {
				if decoded, err := connect.DecodeBinaryHeader(value); err == nil {
					value = string(decoded)
				}
			}
			all[name] = append(all[name], value)
		}
	}
	return all
}

// add adds metadata to headers.
func add(headers *connect.Header, all metadata.MD) {
	for name, values := range all {
		for _, value := range values {
			if strings.HasSuffix(name, "-bin") {
				value = connect.EncodeBinaryHeader([]byte(value))
			}
			headers.Add(name, value)
		}
	}
}

func (s *stream) Context() context.Context { return s.ctx }

func (s *stream) SetHeader(md metadata.MD) error {
	add(s.call.ResponseHeader(), md)
	return nil
}

func (s *stream) SendHeader(md metadata.MD) error {
	add(s.call.ResponseHeader(), md)
	return s.SendHeaders()
}

func (s *stream) SetTrailer(md metadata.MD) { add(s.call.ResponseTrailer(), md) }

func (s *stream) SendMsg(message any) error { return s.Send(message) }

func (s *stream) RecvMsg(into any) error { return s.Receive(into) }

// transport is what [grpc.SetHeader] and others use.
type transport struct{ *stream }

func (t transport) Method() string { return t.method }

func (t transport) SetTrailer(md metadata.MD) error {
	t.stream.SetTrailer(md)
	return nil
}

// publicError returns the error of an RPC as connect sends it.
func publicError(err error) error {
	if err == nil {
		return nil
	}
	from := status.Convert(err)
	to := connect.NewError(connect.Code(from.Code()), from.Message())
	for _, detail := range from.Proto().GetDetails() {
		to = to.WithDetail(&connect.ErrorDetail{Type: strings.TrimPrefix(detail.GetTypeUrl(), "type.googleapis.com/"), Value: detail.GetValue()})
	}
	return to
}
