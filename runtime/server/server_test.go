package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
)

func TestAnAddressInUseIsReportedInOneLine(t *testing.T) {
	config := free()
	config.Addr = serve(t, config, tested(&service{})).Addr()
	_, err := Listen(config, tested(&service{}))
	oneLine(t, err, config.Addr, "in use", "--addr")
}

func TestAnInvalidAddressIsReportedInOneLine(t *testing.T) {
	config := free()
	config.Addr = "localhost:no-such-port"
	_, err := Listen(config, tested(&service{}))
	oneLine(t, err, "--addr localhost:no-such-port")
}

func TestHealthKnowsEveryService(t *testing.T) {
	running := serve(t, free(), tested(&service{}), Service{Desc: &handMade, Impl: &service{}})
	health := grpc_health_v1.NewHealthClient(dial(t, running.Addr()))
	for _, name := range []string{"", "grpc.testing.TestService", "made.by.Hand"} {
		reply, err := health.Check(soon(t), &grpc_health_v1.HealthCheckRequest{Service: name})
		if err != nil || reply.Status != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("%q: %v, %v", name, reply, err)
		}
	}
	if _, err := health.Check(soon(t), &grpc_health_v1.HealthCheckRequest{Service: "grpc.testing.HookService"}); status.Code(err) != codes.NotFound {
		t.Errorf("a service that isn't served: %v", err)
	}
}

func TestReflectionCanBeTurnedOff(t *testing.T) {
	for _, on := range []bool{true, false} {
		config := free()
		config.Reflection = on
		stream, err := grpc_reflection_v1.NewServerReflectionClient(dial(t, serve(t, config, tested(&service{})).Addr())).ServerReflectionInfo(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		// Why a stream was refused is returned by Recv, not by Send.
		_ = stream.Send(&grpc_reflection_v1.ServerReflectionRequest{
			MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
		})
		reply, err := stream.Recv()
		if !on {
			if status.Code(err) != codes.Unimplemented {
				t.Errorf("turned off, it answers %v, %v", reply, err)
			}
			continue
		}
		var names []string
		for _, service := range reply.GetListServicesResponse().GetService() {
			names = append(names, service.Name)
		}
		if list := strings.Join(names, " "); err != nil || !strings.Contains(list, "grpc.testing.TestService") {
			t.Errorf("turned on, it lists %q, %v", list, err)
		}
	}
}

// logged lets do start a server that logs to a file, and returns a function that
// reads this log.
func logged(t *testing.T, do func()) (log func() string) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	stderr := os.Stderr
	defer func() { os.Stderr = stderr }()
	os.Stderr = file
	do()
	return func() string {
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

func TestAPanicEndsTheCallAndNotTheServer(t *testing.T) {
	panicking := &service{
		unary:  func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) { panic("secret one") },
		stream: func(testpb.TestService_FullDuplexCallServer) error { panic(errors.New("secret two")) },
	}
	config := free()
	config.LogLevel = slog.LevelInfo
	var running *running
	log := logged(t, func() { running = serve(t, config, tested(panicking)) })
	client := testpb.NewTestServiceClient(dial(t, running.Addr()))
	for method, call := range map[string]func() error{
		"UnaryCall": func() error {
			_, err := client.UnaryCall(soon(t), &testpb.SimpleRequest{})
			return err
		},
		"FullDuplexCall": func() error {
			stream, err := client.FullDuplexCall(soon(t))
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
	} {
		if err := call(); status.Code(err) != codes.Internal || status.Convert(err).Message() != "internal error" {
			t.Errorf("%s: %v, want an internal error without detail", method, err)
		}
	}
	health := grpc_health_v1.NewHealthClient(dial(t, running.Addr()))
	if _, err := health.Check(soon(t), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("the server no longer answers: %v", err)
	}
	for _, part := range []string{
		"method=/grpc.testing.TestService/UnaryCall cause=\"secret one\"", "method=/grpc.testing.TestService/FullDuplexCall cause=\"secret two\"",
		"(*service).UnaryCall", "(*service).FullDuplexCall", "server_test.go", "code=Internal",
	} {
		if !strings.Contains(log(), part) {
			t.Errorf("the log doesn't contain %q:\n%s", part, log())
		}
	}
}

func TestTheLogShowsWhatTheServerIsToBlameFor(t *testing.T) {
	for _, test := range []struct {
		err   error
		level string // "" if it isn't logged by default
		code  string
	}{
		{err: nil},
		{err: status.Error(codes.InvalidArgument, "no")},
		{err: context.Canceled},
		{err: fmt.Errorf("storing: %w", context.Canceled)},
		{err: fmt.Errorf("storing: %w", context.DeadlineExceeded), level: "WARN", code: "DeadlineExceeded"},
		{err: status.Error(codes.Unavailable, "no"), level: "WARN", code: "Unavailable"},
		{err: status.Error(codes.DataLoss, "no"), level: "ERROR", code: "DataLoss"},
		{err: errors.New("no"), level: "ERROR", code: "Internal"},
	} {
		var text strings.Builder
		interceptor{log: free().withLevel(slog.LevelInfo).Logger(&text)}.answer(t.Context(), "/a.B/C", time.Now(), test.err)
		if test.level == "" {
			if text.Len() > 0 {
				t.Errorf("%v is logged: %s", test.err, &text)
			}
			continue
		}
		for _, part := range []string{"level=" + test.level, "code=" + test.code, "method=/a.B/C", test.err.Error()} {
			if !strings.Contains(text.String(), part) {
				t.Errorf("%v: the log doesn't contain %q: %s", test.err, part, &text)
			}
		}
	}
}

func TestCallersSeeOnlyErrorsMadeForThem(t *testing.T) {
	secret := errors.New("pq: password=hunter2")
	detailed, err := status.New(codes.NotFound, "no such order").WithDetails(&testpb.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		err     error
		code    codes.Code
		message string
	}{
		{secret, codes.Internal, "internal error"},
		{errors.New(""), codes.Internal, "internal error"},
		{fmt.Errorf("storing: %w", secret), codes.Internal, "internal error"},
		{status.Error(codes.InvalidArgument, "amount is negative"), codes.InvalidArgument, "amount is negative"},
		{detailed.Err(), codes.NotFound, "no such order"},
		{fmt.Errorf("%w: %w", secret, detailed.Err()), codes.NotFound, "no such order"},
		{fmt.Errorf("%w: %w", secret, context.DeadlineExceeded), codes.DeadlineExceeded, "context deadline exceeded"},
		{fmt.Errorf("%w: %w", secret, context.Canceled), codes.Canceled, "context canceled"},
		{status.Error(codes.Unknown, "who knows"), codes.Unknown, "who knows"},
		{succeeded{secret}, codes.Internal, "internal error"},
	} {
		failing := &service{
			unary:  func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) { return nil, test.err },
			stream: func(testpb.TestService_FullDuplexCallServer) error { return test.err },
		}
		var running *running
		log := logged(t, func() { running = serve(t, free().withLevel(slog.LevelInfo), tested(failing)) })
		client := testpb.NewTestServiceClient(dial(t, running.Addr()))
		_, unary := client.UnaryCall(soon(t), &testpb.SimpleRequest{})
		stream, err := client.FullDuplexCall(soon(t))
		if err == nil {
			_, err = stream.Recv()
		}
		for _, got := range []error{unary, err} {
			if status.Code(got) != test.code || status.Convert(got).Message() != test.message {
				t.Errorf("%v: callers see %v, want %v: %s", test.err, got, test.code, test.message)
			}
		}
		if test.code == codes.NotFound && len(status.Convert(unary).Details()) != 1 {
			t.Errorf("%v: the details are %v", test.err, status.Convert(unary).Details())
		}
		if test.code == codes.Internal && strings.Count(log(), test.err.Error()) < 2 {
			t.Errorf("%v: the log is\n%s", test.err, log())
		}
	}
}

// succeeded is an error that claims to be a success.
type succeeded struct{ error }

func (succeeded) GRPCStatus() *status.Status { return status.New(codes.OK, "") }

func TestTheLogHasTheFormatAskedFor(t *testing.T) {
	for format, want := range map[string]string{"text": " msg=hello", "json": `,"msg":"hello"`} {
		config := free().withLevel(slog.LevelInfo)
		config.LogFormat = format
		var text strings.Builder
		config.Logger(&text).Info("hello")
		config.Logger(&text).Debug("hidden")
		if !strings.Contains(text.String(), want) || strings.Contains(text.String(), "hidden") {
			t.Errorf("%s: %s", format, &text)
		}
	}
}

func (c Config) withLevel(level slog.Level) Config {
	c.LogLevel = level
	return c
}

func TestARequestIsBounded(t *testing.T) {
	config := free()
	config.MaxMessageBytes = 1000
	client := testpb.NewTestServiceClient(dial(t, serve(t, config, tested(&service{})).Addr()))
	send := func(size int) codes.Code {
		_, err := client.UnaryCall(soon(t), &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, size)}})
		return status.Code(err)
	}
	if code := send(900); code != codes.OK {
		t.Errorf("a small request: %v", code)
	}
	if code := send(1001); code != codes.ResourceExhausted {
		t.Errorf("a large request: %v", code)
	}
}

func TestMetadataIsBounded(t *testing.T) {
	config := free()
	config.MaxMetadataBytes = 5000
	client := testpb.NewTestServiceClient(dial(t, serve(t, config, tested(&service{})).Addr()))
	send := func(size int) error {
		ctx := metadata.AppendToOutgoingContext(soon(t), "tale", strings.Repeat("x", size))
		_, err := client.UnaryCall(ctx, &testpb.SimpleRequest{})
		return err
	}
	if err := send(4000); err != nil {
		t.Error(err)
	}
	if err := send(5000); err == nil {
		t.Error("more metadata were taken")
	}
}

func TestCallsOfAConnectionAreBounded(t *testing.T) {
	config := free()
	config.MaxStreams = 1
	conn := dial(t, serve(t, config, tested(&service{})).Addr())
	first := begin(t, conn)

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := testpb.NewTestServiceClient(conn).UnaryCall(ctx, &testpb.SimpleRequest{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a second call: %v, want it to wait", err)
	}
	if err := first.finish(); err != nil {
		t.Fatal(err)
	}
	if _, err := testpb.NewTestServiceClient(conn).UnaryCall(soon(t), &testpb.SimpleRequest{}); err != nil {
		t.Errorf("a second call after the first: %v", err)
	}
}

// A tail that was open until its client's deadline has not failed; another call has.
func TestATailUntilItsClientsDeadlineIsNoWarning(t *testing.T) {
	const tailMethod = "/grpc.testing.TestService/StreamingOutputCall"
	log, observed := &lockedBuffer{}, newTally()
	observer := Observer{RPC: func(Call) RPCObserver {
		return RPCObserver{End: func(_ context.Context, code codes.Code, _ time.Duration) { observed.add(code.String()) }}
	}}
	running := serve(t, free(), Observers(observer), Logger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))), tested(&service{
		unary: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			<-ctx.Done()
			return nil, context.DeadlineExceeded
		},
		tail: func(stream testpb.TestService_StreamingOutputCallServer) error {
			<-stream.Context().Done()
			return context.DeadlineExceeded
		},
	}))
	for _, path := range []string{unaryMethod, tailMethod} { // the client does not end the call itself
		a := attack(t, running.Addr())
		a.begin(t, framed(0, ""), [2]string{":method", "POST"}, [2]string{":scheme", "http"}, [2]string{":path", path}, [2]string{":authority", "x"},
			[2]string{"content-type", "application/grpc"}, [2]string{"te", "trailers"}, [2]string{"grpc-timeout", "50m"})
	}
	observed.await(t, 2)
	running.stop()
	check(t, running.end(t))
	for method, level := range map[string]string{unaryMethod: "WARN", tailMethod: "DEBUG"} {
		lines := log.linesWith("method=" + method + " code=DeadlineExceeded")
		if len(lines) != 1 || !strings.Contains(lines[0], "level="+level+" msg=call ") {
			t.Errorf("%s: %q, want one line of level %s", method, lines, level)
		}
	}
}

func TestABoundThatGRPCCannotExpressIsItsLargest(t *testing.T) {
	config := free()
	config.MaxStreams = min(math.MaxInt, 1<<32+1) // 1, if the upper bits were cut off
	conn := dial(t, serve(t, config, tested(&service{})).Addr())
	first := begin(t, conn)
	begin(t, conn)
	if err := first.echo(); err != nil {
		t.Errorf("the second call waited for the first to end: %v", err)
	}
}

func TestTLSFromEndToEnd(t *testing.T) {
	config := free()
	config.TLSCert, config.TLSKey = certificate(t)
	running := serve(t, config, tested(&service{}))
	trusted, err := credentials.NewClientTLSFromFile(config.TLSCert, "")
	if err != nil {
		t.Fatal(err)
	}
	client := testpb.NewTestServiceClient(dial(t, running.Addr(), grpc.WithTransportCredentials(trusted)))
	if _, err := client.UnaryCall(soon(t), &testpb.SimpleRequest{}); err != nil {
		t.Error(err)
	}
	if _, err := testpb.NewTestServiceClient(dial(t, running.Addr())).UnaryCall(soon(t), &testpb.SimpleRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("in plaintext: %v", err)
	}
	conn, err := tls.Dial("tcp", running.Addr(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11})
	if err == nil {
		conn.Close()
		t.Error("the server accepts TLS 1.1")
	}
}

func TestCallsUnderWayMayFinish(t *testing.T) {
	running := serve(t, free(), tested(&service{}))
	conn := dial(t, running.Addr())
	call := begin(t, conn)
	running.stop()
	waitUntilClosed(t, running.Addr())

	for deadline := time.Now().Add(testTimeout); ; time.Sleep(time.Millisecond) {
		_, err := testpb.NewTestServiceClient(conn).UnaryCall(soon(t), &testpb.SimpleRequest{})
		if status.Code(err) == codes.Unavailable {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a new call while draining: %v, want it refused", err)
		}
	}
	if err := call.echo(); err != nil {
		t.Errorf("the call under way was cut off: %v", err)
	}
	select {
	case err := <-running.ended:
		t.Fatalf("the server ended with a call under way: %v", err)
	default:
	}
	if err := call.finish(); err != nil {
		t.Errorf("the call under way was cut off: %v", err)
	}
	if err := running.end(t); err != nil {
		t.Errorf("every call could finish, but the error is %v", err)
	}
}

func TestAStuckCallIsCutOff(t *testing.T) {
	config := free()
	config.DrainTimeout = 100 * time.Millisecond
	running := serve(t, config, tested(&service{}))
	call := begin(t, dial(t, running.Addr()))
	running.stop()
	oneLine(t, running.end(t), "cut off", "100ms")
	if _, err := call.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stuck call: %v", err)
	}
	waitUntilClosed(t, running.Addr())
}

func TestTheSignalThatEndedTheContextCutsOffNoCall(t *testing.T) {
	server, err := Listen(free(), tested(&service{}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	signals, ended := make(chan os.Signal), make(chan error, 1)
	go func() { ended <- server.serve(ctx, signals, nil) }()
	call := begin(t, dial(t, server.Addr()))
	stop()
	waitUntilClosed(t, server.Addr())
	signals <- os.Interrupt
	if err := call.finish(); err != nil {
		t.Errorf("the call under way was cut off: %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAServerThatIsStoppedBeforeItServesFreesItsAddress(t *testing.T) {
	server, err := Listen(free(), tested(&service{}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := server.Serve(ctx); err != nil {
		t.Error(err)
	}
	listener, err := net.Listen("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
}

func TestNoServiceIsHealthyWhileDraining(t *testing.T) {
	running := serve(t, free(), tested(&service{}))
	conn := dial(t, running.Addr())
	watches := map[string]grpc_health_v1.Health_WatchClient{}
	for _, name := range []string{"", "grpc.testing.TestService", "no.such.Service"} {
		watch, err := grpc_health_v1.NewHealthClient(conn).Watch(soon(t), &grpc_health_v1.HealthCheckRequest{Service: name})
		if err != nil {
			t.Fatal(err)
		}
		want := grpc_health_v1.HealthCheckResponse_SERVING
		if name == "no.such.Service" {
			want = grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN
		}
		if reply, err := watch.Recv(); err != nil || reply.Status != want {
			t.Fatalf("%q: %v, %v", name, reply, err)
		}
		watches[name] = watch
	}
	call := begin(t, conn)
	running.stop()
	for name, watch := range watches {
		if reply, err := watch.Recv(); err != nil || reply.Status != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
			t.Errorf("%q: %v, %v", name, reply, err)
		}
	}
	for _, name := range []string{"", "grpc.testing.TestService"} {
		reply, err := running.health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: name})
		if err != nil || reply.Status != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
			t.Errorf("%q: %v, %v", name, reply, err)
		}
	}
	if err := call.finish(); err != nil {
		t.Error(err)
	}
	if err := running.end(t); err != nil {
		t.Error(err)
	}
}

// TestADrainDelayLetsLoadBalancersNotice stops a server with a long delay: it says that
// it is not ready, and serves on until a second signal.
func TestADrainDelayLetsLoadBalancersNotice(t *testing.T) {
	t.Parallel()
	config := free()
	config.DrainDelay = time.Hour
	var checks atomic.Int64
	server, err := Listen(config, tested(&service{}), Needs("log", func(context.Context) error { checks.Add(1); return nil }))
	if err != nil {
		t.Fatal(err)
	}
	signals, hangUps, ended := make(chan os.Signal), make(chan os.Signal, 1), make(chan error, 1)
	go func() { ended <- server.serve(t.Context(), signals, hangUps) }()
	conn := dial(t, server.Addr())
	watch, err := grpc_health_v1.NewHealthClient(conn).Watch(soon(t), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	becomes := func(want grpc_health_v1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		for {
			reply, err := watch.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if reply.Status == want {
				return
			}
		}
	}
	call := begin(t, conn)
	becomes(grpc_health_v1.HealthCheckResponse_SERVING)
	signals <- syscall.SIGTERM
	becomes(grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	signals <- syscall.SIGTERM // by timeout, as the same one again
	hangUps <- syscall.SIGHUP
	for now := checks.Load(); checks.Load() < now+2; time.Sleep(time.Millisecond) { // which succeed
	}
	later := dial(t, server.Addr()) // a client that comes now is served
	if err := begin(t, later).finish(); err != nil {
		t.Error(err)
	}
	reply, err := grpc_health_v1.NewHealthClient(later).Check(soon(t), &grpc_health_v1.HealthCheckRequest{Service: "grpc.testing.TestService"})
	if err != nil || reply.Status != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("in the delay the health is %v, %v", reply, err)
	}
	signals <- syscall.SIGTERM // a second one, as the checks took a second
	waitUntilClosed(t, server.Addr())
	if err := errors.Join(call.echo(), call.finish()); err != nil {
		t.Errorf("the call under way: %v", err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(testTimeout):
		t.Error("the server doesn't end")
	}
}

func TestASignalAfterTheDrainDelayEndsAtOnce(t *testing.T) {
	t.Parallel()
	config := free()
	config.DrainDelay, config.DrainTimeout = secondSignal, time.Hour
	works := make(chan struct{})
	server, err := Listen(config, tested(&service{unary: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		close(works)
		<-ctx.Done()
		return nil, ctx.Err()
	}}))
	if err != nil {
		t.Fatal(err)
	}
	signals, ended, called := make(chan os.Signal), make(chan error, 1), make(chan error, 1)
	go func() { ended <- server.serve(t.Context(), signals, nil) }()
	client, ctx := testpb.NewTestServiceClient(dial(t, server.Addr())), soon(t)
	go func() {
		_, err := client.UnaryCall(ctx, &testpb.SimpleRequest{})
		called <- err
	}()
	<-works
	signals <- syscall.SIGTERM
	waitUntilClosed(t, server.Addr())
	signals <- syscall.SIGTERM
	select {
	case err := <-ended:
		oneLine(t, err, "second signal", "cut off")
	case <-time.After(testTimeout):
		t.Fatal("the server doesn't end")
	}
	if err := <-called; status.Code(err) != codes.Unavailable {
		t.Errorf("the call under way: %v", err)
	}
}

// TestAnOldConnectionLeavesItsCallsAGrace has a drain timeout that is shorter than the
// time that the first call takes.
func TestAnOldConnectionLeavesItsCallsAGrace(t *testing.T) {
	t.Parallel()
	for name, grace := range map[string]time.Duration{"long": time.Hour, "without an end": 0, "short": 10 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := free()
			config.DrainTimeout, config.MaxConnectionAge, config.MaxConnectionAgeGrace = time.Millisecond, 20*time.Millisecond, grace
			running := serve(t, config, tested(&service{}))
			conn := dial(t, running.Addr())
			call := begin(t, conn)
			if name == "short" {
				if _, err := call.Recv(); status.Code(err) != codes.Unavailable {
					t.Errorf("after the grace a call ends with %v", err)
				}
				return
			}
			for i := range 20 { // others go to new connections
				if _, err := testpb.NewTestServiceClient(conn).UnaryCall(soon(t), &testpb.SimpleRequest{}); err != nil {
					t.Fatalf("call %d: %v", i, err)
				}
				time.Sleep(20 * time.Millisecond)
			}
			if err := errors.Join(call.echo(), call.finish()); err != nil {
				t.Errorf("the call under way: %v", err)
			}
		})
	}
}

func TestAServerThatFailsDoesNotWaitForLoadBalancers(t *testing.T) {
	config := free()
	config.DrainDelay = time.Hour
	running := serve(t, config, tested(&service{}))
	running.listener.Close()
	if err := running.end(t); err == nil || !strings.HasPrefix(err.Error(), "serving 127.0.0.1:") {
		t.Errorf("the error is %v", err)
	}
}

func TestAWatchOfTheHealthDoesNotDelayTheEnd(t *testing.T) {
	config := free()
	config.DrainTimeout = time.Hour
	running := serve(t, config, tested(&service{}))
	watch, err := grpc_health_v1.NewHealthClient(dial(t, running.Addr())).Watch(soon(t), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	running.stop()
	if err := running.end(t); err != nil {
		t.Error(err)
	}
	for err == nil {
		_, err = watch.Recv()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("the watch ended with %v", err)
	}
}

func TestASilentConnectionIsNotACallUnderWay(t *testing.T) {
	t.Parallel()
	config := free()
	config.DrainTimeout = time.Hour
	running := serve(t, config, tested(&service{}))
	silent, err := net.Dial("tcp", running.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if _, err := silent.Read(make([]byte, 1)); err != nil { // the server sends first
		t.Fatal(err)
	}
	running.stop()
	if err := running.end(t); err != nil {
		t.Error(err)
	}
}

func TestAServerThatFailsCutsItsConnections(t *testing.T) {
	running := serve(t, free(), tested(&service{}))
	call := begin(t, dial(t, running.Addr()))
	running.listener.Close()
	oneLine(t, running.end(t), "serving "+running.Addr())
	if _, err := call.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the call under way: %v", err)
	}
}
