package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// steps notes in which order things happen.
type steps struct {
	mu  sync.Mutex
	all []string
}

func (s *steps) add(step string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, step)
}

func (s *steps) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.all = nil }()
	return s.all
}

func (s *steps) unary(name string) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		s.add(name + " " + info.FullMethod)
		reply, err := next(ctx, request)
		s.add(name + " " + status.Code(err).String())
		return reply, err
	}
}

func (s *steps) stream(name string) grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		s.add(name + " " + info.FullMethod)
		err := next(server, stream)
		s.add(name + " " + status.Code(err).String())
		return err
	}
}

// callBoth makes a unary call and one of a stream, and returns how they ended.
func callBoth(t *testing.T, ctx context.Context, conn grpc.ClientConnInterface) map[string]error {
	t.Helper()
	client := testpb.NewTestServiceClient(conn)
	_, unary := client.UnaryCall(ctx, &testpb.SimpleRequest{})
	stream, err := client.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	return map[string]error{"UnaryCall": unary, "FullDuplexCall": err}
}

func TestInterceptorsOfTheUserAreCalledInTheirOrder(t *testing.T) {
	var seen steps
	tested := tested(&service{
		unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			seen.add("the method")
			return nil, status.Error(codes.NotFound, "not here")
		},
		stream: func(testpb.TestService_FullDuplexCallServer) error {
			seen.add("the method")
			return status.Error(codes.NotFound, "not here")
		},
	})
	running := serve(t, free(), UnaryInterceptors(seen.unary("first"), seen.unary("second")), StreamInterceptors(seen.stream("first")),
		tested, StreamInterceptors(seen.stream("second")), UnaryInterceptors(seen.unary("third")))
	conn := dial(t, running.Addr())

	if _, err := testpb.NewTestServiceClient(conn).UnaryCall(soon(t), &testpb.SimpleRequest{}); status.Code(err) != codes.NotFound {
		t.Error(err)
	}
	const unary, stream = " /grpc.testing.TestService/UnaryCall", " /grpc.testing.TestService/FullDuplexCall"
	want := []string{"first" + unary, "second" + unary, "third" + unary, "the method", "third NotFound", "second NotFound", "first NotFound"}
	if got := seen.take(); !slices.Equal(got, want) {
		t.Errorf("the order is %q, want %q", got, want)
	}

	call, err := testpb.NewTestServiceClient(conn).FullDuplexCall(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := call.Recv(); status.Code(err) != codes.NotFound {
		t.Error(err)
	}
	want = []string{"first" + stream, "second" + stream, "the method", "second NotFound", "first NotFound"}
	if got := seen.take(); !slices.Equal(got, want) {
		t.Errorf("the order is %q, want %q", got, want)
	}
}

func TestAnInterceptorMayRefuseAllCalls(t *testing.T) {
	reached := errors.New("reached")
	tested := tested(&service{
		unary: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return &testpb.SimpleResponse{Username: ctx.Value(reached).(string)}, nil
		},
		stream: func(stream testpb.TestService_FullDuplexCallServer) error {
			return stream.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: []byte(stream.Context().Value(reached).(string))}})
		},
	})
	authorize := func(ctx context.Context) (context.Context, error) {
		if token := metadata.ValueFromIncomingContext(ctx, "authorization"); len(token) != 1 || token[0] != "Bearer ann" {
			return nil, status.Error(codes.Unauthenticated, "who are you?")
		}
		return context.WithValue(ctx, reached, "ann"), nil
	}
	running := serve(t, free(), tested,
		UnaryInterceptors(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			ctx, err := authorize(ctx)
			if err != nil {
				return nil, err
			}
			return next(ctx, request)
		}),
		StreamInterceptors(func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			ctx, err := authorize(stream.Context())
			if err != nil {
				return err
			}
			return next(server, drainable{stream, ctx})
		}))
	conn := dial(t, running.Addr())
	for method, err := range callBoth(t, soon(t), conn) {
		if status.Code(err) != codes.Unauthenticated || status.Convert(err).Message() != "who are you?" {
			t.Errorf("%s without a token: %v", method, err)
		}
	}
	for method, err := range callBoth(t, metadata.AppendToOutgoingContext(soon(t), "authorization", "Bearer ann"), conn) {
		if err != nil {
			t.Errorf("%s with a token: %v", method, err)
		}
	}
	// It guards the server's own services, too.
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(soon(t), &grpc_health_v1.HealthCheckRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("health: %v", err)
	}
	reflection, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reflection.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("reflection: %v", err)
	}
}

func TestWhatGoesWrongInAnInterceptorEndsTheCallAlone(t *testing.T) {
	for name, fail := range map[string]func() error{
		"a panic":                   func() error { panic("secret") },
		"an error without a status": func() error { return errors.New("secret") },
	} {
		t.Run(name, func(t *testing.T) {
			var text bytes.Buffer
			running := serve(t, free(), tested(&service{}), Logger(slog.New(slog.NewTextHandler(&text, nil))),
				UnaryInterceptors(func(_ context.Context, _ any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
					return nil, fail()
				}),
				StreamInterceptors(func(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error { return fail() }))
			for method, err := range callBoth(t, soon(t), dial(t, running.Addr())) {
				if status.Code(err) != codes.Internal || status.Convert(err).Message() != "internal error" {
					t.Errorf("%s: %v, want an internal error without detail", method, err)
				}
			}
			running.stop()
			if err := running.end(t); err != nil {
				t.Error(err)
			}
			if n := strings.Count(text.String(), "level=ERROR msg=call "); n != 2 || !strings.Contains(text.String(), "secret") {
				t.Errorf("the server logged\n%swant two failed calls and their cause", text.String())
			}
		})
	}
}

// counted counts the calls that begin.
type counted struct{ seen *steps }

func (counted) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (counted) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (counted) HandleConn(context.Context, stats.ConnStats)                       {}
func (c counted) HandleRPC(_ context.Context, event stats.RPCStats) {
	if end, ok := event.(*stats.End); ok {
		c.seen.add(status.Code(end.Error).String())
	}
}

func TestStatsHandlersSeeCalls(t *testing.T) {
	var one, other steps
	running := serve(t, free(), tested(&service{}), StatsHandlers(counted{&one}, counted{&other}))
	if _, err := testpb.NewTestServiceClient(dial(t, running.Addr())).UnaryCall(soon(t), &testpb.SimpleRequest{}); err != nil {
		t.Fatal(err)
	}
	running.stop()
	if err := running.end(t); err != nil {
		t.Fatal(err)
	}
	for _, seen := range []*steps{&one, &other} {
		if got := seen.take(); !slices.Equal(got, []string{"OK"}) {
			t.Errorf("a handler sees %q, want the end of one call", got)
		}
	}
}
