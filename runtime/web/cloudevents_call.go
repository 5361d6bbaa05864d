//runtime:with eventlog

package web

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// call calls an RPC with requests that are there already.
func call(request *http.Request, rpc server.Called, md metadata.MD, requests []proto.Message) error {
	ctx := metadata.NewIncomingContext(request.Context(), md)
	if at, err := net.ResolveTCPAddr("tcp", request.RemoteAddr); err == nil {
		ctx = peer.NewContext(ctx, &peer.Peer{Addr: at})
	}
	s := &ready{requests: requests}
	s.ctx = grpc.NewContextWithServerTransportStream(ctx, readyTransport{s, rpc.Method})
	return rpc.Handle(s)
}

type ready struct {
	ctx      context.Context
	requests []proto.Message
}

func (s *ready) Context() context.Context     { return s.ctx }
func (s *ready) SetHeader(metadata.MD) error  { return nil }
func (s *ready) SendHeader(metadata.MD) error { return nil }
func (s *ready) SetTrailer(metadata.MD)       {}
func (s *ready) SendMsg(any) error            { return nil }

func (s *ready) RecvMsg(into any) error {
	if len(s.requests) == 0 {
		return io.EOF
	}
	proto.Reset(into.(proto.Message))
	proto.Merge(into.(proto.Message), s.requests[0])
	s.requests = s.requests[1:]
	return nil
}

type readyTransport struct {
	*ready
	method string
}

func (t readyTransport) Method() string               { return t.method }
func (t readyTransport) SetTrailer(metadata.MD) error { return nil }

func retryAfter(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			return strconv.Itoa(max(1, int(retry.GetRetryDelay().AsDuration().Seconds()+0.999)))
		}
	}
	return ""
}
