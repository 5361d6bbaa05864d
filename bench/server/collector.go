//go:build unix

package main

import (
	"errors"
	"io"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// collect starts a collector of traces in this process, which takes all that it gets, until
// stop is called. It returns the variables that direct a server's spans to it.
func collect() (environment []string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		for {
			if err := stream.RecvMsg(&emptypb.Empty{}); errors.Is(err, io.EOF) {
				return stream.SendMsg(&emptypb.Empty{})
			} else if err != nil {
				return err
			}
		}
	}))
	go func() { _ = s.Serve(listener) }()
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + listener.Addr().String(), "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, s.Stop, nil
}
