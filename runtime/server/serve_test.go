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

// testTimeout bounds how long a test waits for what must happen. It is far longer
// than that takes.
const testTimeout = time.Minute

// service implements gRPC's TestService. Its stream echoes until the client has
// sent all.
type service struct {
	testpb.UnimplementedTestServiceServer
	unary  func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error)
	stream func(testpb.TestService_FullDuplexCallServer) error
	tail   func(testpb.TestService_StreamingOutputCallServer) error
}

func (s *service) StreamingOutputCall(_ *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
	return s.tail(stream)
}

// StreamingInputCall takes all that comes.
func (s *service) StreamingInputCall(stream testpb.TestService_StreamingInputCallServer) error {
	for {
		if _, err := stream.Recv(); err != nil {
			if errors.Is(err, io.EOF) {
				return stream.SendAndClose(&testpb.StreamingInputCallResponse{})
			}
			return err
		}
	}
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

// tested returns a service to serve.
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

// free returns the configuration of a server on a free port that logs nothing.
func free() Config {
	config := Defaults("test-server")
	config.Addr = "127.0.0.1:0"
	config.DrainTimeout, config.ReceiveTimeout = testTimeout, testTimeout // which a busy machine may need
	config.LogLevel = slog.LevelError + 1
	return config
}

// running is a server that serves until stop is called.
type running struct {
	*Server
	stop  context.CancelFunc
	ended chan error
}

// serve starts a server, which serves until the test ends at the latest.
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

// end waits until the server has stopped, and returns its error.
func (r *running) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(testTimeout):
		t.Fatal("the server doesn't end")
		return nil
	}
}

// dial returns a connection to a server, in plaintext unless options change it.
func dial(t *testing.T, addr string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// soon returns a context that ends after testTimeout.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// conversation is a call under way, which goes on until finish is called.
type conversation struct {
	testpb.TestService_FullDuplexCallClient
}

// begin starts a call, and returns once it has reached its handler.
func begin(t *testing.T, conn grpc.ClientConnInterface) conversation {
	t.Helper()
	stream, err := testpb.NewTestServiceClient(conn).FullDuplexCall(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	c := conversation{stream}
	if err := c.echo(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c conversation) echo() error {
	if err := c.Send(&testpb.StreamingOutputCallRequest{}); err != nil {
		return err
	}
	_, err := c.Recv()
	return err
}

// finish ends the call, and returns nil if it ends well.
func (c conversation) finish() error {
	if err := c.CloseSend(); err != nil {
		return err
	}
	if _, err := c.Recv(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// waitUntilClosed returns once nothing listens on an address.
func waitUntilClosed(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Fatalf("%s still listens", addr)
}
