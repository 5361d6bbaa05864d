package command

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

// programVariable is the environment variable that makes the test binary the
// program under test.
const programVariable = "RUN_RECEIVER_CLIENT"

func TestMain(m *testing.M) {
	if os.Getenv(programVariable) != "" {
		os.Exit(Main("receiver-client", With([]Command{echo, stubborn, upload, watch, exchangeAll}, Completion)))
	}
	os.Exit(m.Run())
}

// echo is a command like those of generated programs.
var echo = Command{
	Name:  "echo",
	Doc:   "Sends a request to the server.",
	Event: true,
	Flags: []Flag{
		{Name: "response_size", Field: "response_size"},
		{Name: "fill_username", Field: "fill_username"},
		{Name: "payload", Field: "payload"},
	},
	Call: Unary(dial, func(ctx context.Context, c testClient, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return testpb.NewTestServiceClient(c).UnaryCall(ctx, request)
	}),
}

// stubborn is a command whose call can't be cancelled.
var stubborn = Command{
	Name: "stubborn",
	Call: Unary(dial, func(ctx context.Context, c testClient, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return testpb.NewTestServiceClient(c).UnaryCall(context.WithoutCancel(ctx), request)
	}),
}

type testClient struct{ *grpc.ClientConn }

func dial(ctx context.Context, target string, options ...client.Option) (testClient, error) {
	conn, err := client.Dial(ctx, target, nil, options...)
	return testClient{conn}, err
}

// handle is a server that answers with a function.
type handler func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error)

type testServer struct {
	testpb.UnimplementedTestServiceServer
	handle handler
}

func (s testServer) UnaryCall(ctx context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return s.handle(ctx, request)
}

// serve starts a server, which runs until the test ends, and returns its address.
func serve(t *testing.T, handle handler, options ...grpc.ServerOption) string {
	t.Helper()
	return start(t, testServer{handle: handle}, options...)
}

func start(t *testing.T, service testpb.TestServiceServer, options ...grpc.ServerOption) string {
	t.Helper()
	listener := listen(t)
	server := grpc.NewServer(options...)
	testpb.RegisterTestServiceServer(server, service)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// mirror answers with the payload of the request, and with the id of the
// event for a user name.
func mirror(ctx context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	response := &testpb.SimpleResponse{Payload: request.Payload}
	if request.FillUsername {
		response.Username = strings.Join(metadata.ValueFromIncomingContext(ctx, "event-id"), ",")
	}
	return response, nil
}

// block answers when the caller has left.
func block(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	<-ctx.Done()
	return nil, status.FromContextError(ctx.Err()).Err()
}

func TestUnary(t *testing.T) {
	addr := serve(t, mirror)
	out, err := run(t.Context(), []Command{echo}, "echo", "--addr", addr, "--event-id", "id-1", "--fill_username", "--json",
		"--payload", `{"type": "COMPRESSABLE", "body": "+/8="}`)
	const want = `{"payload":{"type":"COMPRESSABLE","body":"+/8="},"username":"id-1","oauthScope":"","serverId":"",` +
		`"grpclbRouteType":"GRPCLB_ROUTE_TYPE_UNKNOWN","hostname":""}` + "\n"
	if out != want || err != nil {
		t.Errorf("it prints\n%s, error %v, want\n%s", out, err, want)
	}
}

func TestWithoutEventID(t *testing.T) {
	addr := serve(t, func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		if ids := metadata.ValueFromIncomingContext(ctx, "event-id"); ids != nil {
			t.Errorf("the event has the ids %q, but the client library must make them", ids)
		}
		return &testpb.SimpleResponse{}, nil
	})
	if _, err := run(t.Context(), []Command{echo}, "echo", "--addr", addr); err != nil {
		t.Error(err)
	}
}

func TestStatusOfServer(t *testing.T) {
	addr := serve(t, func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return nil, status.Error(codes.InvalidArgument, "xwho is empty")
	})
	fails(t, "echo: InvalidArgument: xwho is empty", "echo", "--addr", addr)
}

func TestServerThatDoesNotAnswer(t *testing.T) {
	addr := serve(t, block)
	fails(t, "echo: no answer from "+addr+" within 100ms (see --timeout)", "echo", "--addr", addr, "--timeout", "100ms")
}

func TestServerThatSendsNothing(t *testing.T) {
	addr := listen(t).Addr().String() // accepts connections, and sends nothing
	fails(t, "echo: no answer from "+addr+" within 100ms (see --timeout)", "echo", "--addr", addr, "--timeout", "100ms")
}

func TestNoServer(t *testing.T) {
	listener := listen(t)
	addr := listener.Addr().String()
	listener.Close()
	fails(t, "echo: no server at "+addr, "echo", "--addr", addr, "--timeout", "1h")
}

// fails checks that a command ends soon, with an error that begins with want, and
// prints nothing.
func fails(t *testing.T, want string, args ...string) {
	t.Helper()
	out, err := run(soon(t), []Command{echo}, args...)
	if err == nil || !strings.HasPrefix(err.Error(), want) || out != "" {
		t.Errorf("it prints %q, error %v, want %q", out, err, want)
	}
}

func TestCA(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate, which is for 127.0.0.1
	defer web.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	addr := serve(t, mirror, grpc.Creds(credentials.NewServerTLSFromCert(&web.TLS.Certificates[0])))

	if _, err := run(t.Context(), []Command{echo}, "echo", "--addr", addr, "--ca", file); err != nil {
		t.Error(err)
	}
	missing := filepath.Join(t.TempDir(), "missing.pem")
	_, err := run(t.Context(), []Command{echo}, "echo", "--addr", addr, "--ca", missing)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("the error is %v", err)
	}
	if _, err := run(t.Context(), []Command{echo}, "echo", "--addr", addr); err == nil {
		t.Error("the connection to a server with TLS is in plaintext")
	}
}

func TestInsecure(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("0.0.0.0 can't be connected to")
	}
	_, port, err := net.SplitHostPort(serve(t, mirror))
	if err != nil {
		t.Fatal(err)
	}
	addr := "0.0.0.0:" + port // this machine, but not recognisably so
	if _, err := run(t.Context(), []Command{echo}, "echo", "--addr", addr, "--insecure"); err != nil {
		t.Error(err)
	}
	if _, err := run(t.Context(), []Command{echo}, "echo", "--addr", addr); err == nil {
		t.Error("the connection to another machine is in plaintext without --insecure")
	}
}

// closer counts the calls of Close.
type closer struct{ closed *int }

func (c closer) Close() error { *c.closed++; return nil }

func TestConnectionIsClosed(t *testing.T) {
	for _, failure := range []error{nil, errors.New("no")} {
		closed := 0
		command := Command{Name: "echo", Call: Unary(
			func(context.Context, string, ...client.Option) (closer, error) { return closer{&closed}, nil },
			func(context.Context, closer, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				return &testpb.SimpleResponse{}, failure
			},
		)}
		if _, err := run(t.Context(), []Command{command}, "echo"); !errors.Is(err, failure) || closed != 1 {
			t.Errorf("closed %d times, error %v", closed, err)
		}
	}
}

// program returns the command that runs the program in its own process.
func program(args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	cmd = exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), programVariable+"=1")
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

func TestProcess(t *testing.T) {
	hostile := serve(t, func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return nil, status.Error(codes.Internal, "two\nlines\x1b[31m")
	})
	for _, test := range []struct {
		args           string
		code           int
		stdout, stderr string // what they begin with
	}{
		{"help", 0, "Usage: receiver-client COMMAND [flags]\n", ""},
		{"echo --json --addr " + serve(t, mirror), 0, `{"username":"",`, ""},
		{"", 2, "", "receiver-client: no command given (run 'receiver-client help')\n"},
		{"echo --nothing", 2, "", "receiver-client: echo: flag provided but not defined: -nothing (run 'receiver-client help echo')\n"},
		{"echo --addr " + hostile, 1, "", "receiver-client: echo: Internal: two\\nlines\\x1b[31m\n"},
	} {
		t.Run(test.args, func(t *testing.T) {
			cmd, stdout, stderr := program(strings.Fields(test.args)...)
			if err := cmd.Run(); cmd.ProcessState == nil {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != test.code {
				t.Errorf("the exit code is %d, want %d", code, test.code)
			}
			if got := stdout.String(); !strings.HasPrefix(got, test.stdout) || test.stdout == "" && got != "" {
				t.Errorf("it prints %q, want %q", got, test.stdout)
			}
			if got := stderr.String(); got != test.stderr {
				t.Errorf("its error is %q, want %q", got, test.stderr)
			}
		})
	}
}

func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("os.Interrupt can't be sent")
	}
	called := make(chan struct{})
	addr := serve(t, func(ctx context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		close(called)
		return block(ctx, request)
	})
	cmd, stdout, stderr := program("echo", "--addr", addr, "--timeout", "30s")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-called
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || stdout.Len() > 0 {
		t.Errorf("the exit code is %d, it prints %q", code, stdout)
	}
	if got, want := stderr.String(), "receiver-client: echo: interrupt signal received\n"; got != want {
		t.Errorf("its error is %q, want %q", got, want)
	}
}

func TestSecondInterruptEndsTheProcess(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("os.Interrupt can't be sent")
	}
	called := make(chan struct{})
	addr := serve(t, func(ctx context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		close(called)
		return block(ctx, request)
	})
	cmd, _, stderr := program("stubborn", "--addr", addr)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- cmd.Wait() }()
	<-called
	deadline := time.After(testTimeout)
	for interrupts := 0; ; interrupts++ {
		select {
		case <-ended:
			if cmd.ProcessState.ExitCode() != -1 || interrupts < 2 { // -1: by a signal
				t.Errorf("it ended after %d interrupts: %s, %q", interrupts, cmd.ProcessState, stderr)
			}
			return
		case <-deadline:
			cmd.Process.Kill()
			<-ended
			t.Fatalf("it did not end after %d interrupts", interrupts)
		case <-time.After(50 * time.Millisecond):
			cmd.Process.Signal(os.Interrupt)
		}
	}
}
