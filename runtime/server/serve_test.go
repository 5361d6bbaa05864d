package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/types/known/emptypb"
)

// patience is how long a test waits for what must happen, and far longer than
// it takes.
const patience = 20 * time.Second

// service is a TestService of gRPC. A stream of it echoes until the client has
// sent all.
type service struct {
	testpb.UnimplementedTestServiceServer
	unary  func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error)
	stream func(testpb.TestService_FullDuplexCallServer) error
}

func (s *service) UnaryCall(ctx context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if s.unary == nil {
		return &testpb.SimpleResponse{Payload: request.Payload}, nil
	}
	return s.unary(ctx, request)
}

func (s *service) FullDuplexCall(stream testpb.TestService_FullDuplexCallServer) error {
	if s.stream != nil {
		return s.stream(stream)
	}
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&testpb.StreamingOutputCallResponse{Payload: request.Payload}); err != nil {
			return err
		}
	}
}

// tested hangs a service into a server.
func tested(s *service) Service { return Service{Desc: &testpb.TestService_ServiceDesc, Impl: s} }

// handMade is a service that no proto describes.
var handMade = grpc.ServiceDesc{
	ServiceName: "made.by.Hand",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Nothing",
		Handler: func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
			return &emptypb.Empty{}, nil
		},
	}},
}

// free is a configuration of a quiet server on a free port.
func free() Config {
	config := Defaults("test-server")
	config.Addr = "127.0.0.1:0"
	config.DrainTimeout = patience
	config.LogLevel = slog.LevelError + 1
	return config
}

// running is a server that serves until it is told to stop.
type running struct {
	*Server
	stop  context.CancelFunc
	ended chan error
}

// serve serves until the test ends, at the latest.
func serve(t *testing.T, config Config, options ...Option) *running {
	t.Helper()
	server, err := Listen(config, options...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{Server: server, stop: stop, ended: make(chan error, 1)}
	go func() { r.ended <- server.Serve(ctx) }()
	t.Cleanup(stop)
	return r
}

// end is what the server returns, which is told to stop.
func (r *running) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(patience):
		t.Fatal("the server doesn't end")
		return nil
	}
}

// dial is a connection to a server, in the clear unless options say otherwise.
func dial(t *testing.T, addr string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// soon is a context for what must happen.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// call is a call under way, which goes on until it is told to finish.
type call struct {
	testpb.TestService_FullDuplexCallClient
}

// begin returns once a call has reached its handler.
func begin(t *testing.T, conn grpc.ClientConnInterface) call {
	t.Helper()
	stream, err := testpb.NewTestServiceClient(conn).FullDuplexCall(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	c := call{stream}
	if err := c.echo(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c call) echo() error {
	if err := c.Send(&testpb.StreamingOutputCallRequest{}); err != nil {
		return err
	}
	_, err := c.Recv()
	return err
}

// finish is nil if the call ends well.
func (c call) finish() error {
	if err := c.CloseSend(); err != nil {
		return err
	}
	if _, err := c.Recv(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// refused returns once nothing listens on an address.
func refused(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Fatalf("%s still listens", addr)
}
