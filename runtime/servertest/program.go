//runtime:used

package servertest

import (
	"context"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// Program is a server program, as its main composes it.
type Program struct {
	// Run is the function of main that runs the program with arguments until ctx ends.
	Run func(ctx context.Context, args []string) error
	// Args are arguments without which it doesn't start.
	Args []string
	// Services are the full names of the services that it must serve.
	Services []string
	// Requests make the requests that RPCs accept, by methods such as
	// "/shop.v1.Orders/Place". For others there is the sample in testdata, beside the file
	// that implements the RPC, or else a value in every field.
	Requests map[string]func() proto.Message
	// Dial connects to the program. If nil, that is in plaintext.
	Dial func(addr string) (*grpc.ClientConn, error)
	// Context returns the context of a call, with what a caller must send beside the
	// request, such as a token. If nil, nothing is added.
	Context func(context.Context) context.Context
	// Skip are the tests that are left out, by the names of their subtests, with the
	// reasons.
	Skip map[string]string
}

// Part is something that a main may pass to server.Run beside its services.
type Part struct {
	args  []string // by which the program has it
	tests []programTest
	left  func(*runningProgram, *testing.T) // tests what is left when the program has ended; may be nil
}

type programTest struct {
	name string
	test func(*runningProgram, *testing.T)
}

// Test runs the program, on free ports and in an empty folder, and tests that it serves
// what it should, that its parts work, that its flags do what they say, and that it ends.
// Its consumers do to events what they always do.
func (p Program) Test(t *testing.T, parts ...Part) {
	logger := slog.Default()
	t.Cleanup(func() { slog.SetDefault(logger) })
	t.Chdir(t.TempDir())
	r := &runningProgram{Program: p}
	r.Args = append(slices.Clone(r.Args), "--log-level=error")
	tests := []programTest{
		{"its services are served", (*runningProgram).serves},
		{"its health is SERVING", (*runningProgram).isHealthy},
		{"reflection names its services", (*runningProgram).reflects},
	}
	for _, part := range parts {
		r.Args, tests = append(r.Args, part.args...), append(tests, part.tests...)
	}
	p.part(t, "a wrong flag is an error", func(t *testing.T) { r.refuses(t, "--addr=127.0.0.1:0", "--no-such-flag") })
	if p.Dial == nil {
		p.part(t, "plaintext is refused to other machines", func(t *testing.T) { r.refuses(t, "--addr=0.0.0.0:0") })
	}
	r.start(t)
	for _, one := range tests {
		p.part(t, one.name, func(t *testing.T) { one.test(r, t) })
	}
	p.part(t, "it ends when its context does", func(t *testing.T) {
		r.stop(t)
		for _, part := range parts {
			if part.left != nil {
				part.left(r, t)
			}
		}
	})
}

// part runs a test of the program as a subtest, unless it is to be left out.
func (p Program) part(t *testing.T, name string, test func(*testing.T)) {
	t.Run(name, func(t *testing.T) {
		if reason, ok := p.Skip[name]; ok {
			t.Skip(reason)
		}
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("if main is right, leave this out in main_test.go, by Program.Skip: map[string]string{%q: \"the reason\"}", name)
			}
		})
		test(t)
	})
}

// context returns the context of a call.
func (p Program) context(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), programTime)
	t.Cleanup(cancel)
	if p.Context != nil {
		ctx = p.Context(ctx)
	}
	return ctx
}

// runningProgram is a program that is started with all its arguments.
type runningProgram struct {
	Program
	server *server.Server
	conn   *grpc.ClientConn
	stop   func(*testing.T) // does nothing once it was called
}

// programTime is how long a program may take to begin, to be ready, and to end.
var programTime = 20 * time.Second

// refuses tests that the program doesn't start with further arguments.
func (r *runningProgram) refuses(t *testing.T, args ...string) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := r.Run(server.OnListen(ctx, func(*server.Server) { cancel() }), append(slices.Clone(r.Args), args...))
	if err == nil {
		t.Errorf("main.go: with %s the program starts, want an error", strings.Join(args, " "))
	}
}

// start starts the program with further arguments, and returns once it listens.
func (r *runningProgram) start(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	listening, ended := make(chan *server.Server, 1), make(chan error, 1)
	go func() {
		ended <- r.Run(server.OnListen(ctx, func(s *server.Server) { listening <- s }), append(append(slices.Clone(r.Args), "--addr=127.0.0.1:0"), args...))
	}()
	r.stop = func(t *testing.T) {
		cancel()
		r.stop = func(*testing.T) {}
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("main.go: the program ends with the error %v", err)
			}
		case <-time.After(programTime):
			t.Errorf("main.go: the program still runs %s after its context has ended", programTime)
		}
	}
	t.Cleanup(func() { r.stop(t) })
	select {
	case r.server = <-listening:
	case err := <-ended:
		r.stop = func(*testing.T) {}
		t.Fatalf("main.go: the program ends at once, with the error %v: if it needs other arguments, set Args in main_test.go; if main no longer has a part, delete the line of that part there", err)
	case <-time.After(programTime):
		t.Fatalf("main.go: the program does not listen: does it call server.Run with the context that it gets?")
	}
	dial := r.Dial
	if dial == nil {
		dial = func(addr string) (*grpc.ClientConn, error) {
			return grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		}
	}
	var err error
	if r.conn, err = dial(r.server.Addr()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.conn.Close() })
}

// obeys tests that the program has a subcommand.
func (r *runningProgram) obeys(t *testing.T, args ...string) {
	t.Helper()
	nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer nowhere.Close()
	stdout := os.Stdout
	os.Stdout = nowhere
	err = r.Run(t.Context(), args)
	os.Stdout = stdout
	if err != nil {
		t.Errorf("main.go: %s ends with the error %v", strings.Join(args[:len(args)-1], " "), err)
	}
}

func (r *runningProgram) serves(t *testing.T) {
	served := map[string]string{}
	for _, service := range r.server.Services() {
		served[service.Desc.ServiceName] = reflect.Indirect(reflect.ValueOf(service.Impl)).Type().Name()
	}
	for _, name := range r.Services {
		kind, ok := served[name]
		switch {
		case !ok:
			t.Errorf("main.go: service %s is not served: pass it to server.Run", name)
		case strings.HasPrefix(kind, "Unimplemented") && strings.HasSuffix(kind, "Server"):
			t.Errorf("main.go: service %s is served by %s, which answers Unimplemented: pass yours to server.Run", name, kind)
		}
	}
}

// health is the service by which probes of gRPC ask.
const health = "grpc.health.v1.Health"

// isHealthy waits until the program and all its services are ready.
func (r *runningProgram) isHealthy(t *testing.T) {
	if slices.Contains(r.Services, health) {
		t.Skip("it has a service of its own for that")
	}
	ctx := r.context(t)
	for _, name := range append([]string{""}, r.Services...) {
		watch, err := grpc_health_v1.NewHealthClient(r.conn).Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: name})
		last := grpc_health_v1.HealthCheckResponse_UNKNOWN
		for err == nil && last != grpc_health_v1.HealthCheckResponse_SERVING {
			var reply *grpc_health_v1.HealthCheckResponse
			reply, err = watch.Recv()
			last = reply.GetStatus()
		}
		if err != nil {
			t.Errorf("main.go: the health of %q is %s: %v", name, last, err)
		}
	}
}

func (r *runningProgram) reflects(t *testing.T) {
	if slices.ContainsFunc(r.Services, func(name string) bool { return strings.HasPrefix(name, "grpc.reflection.") }) {
		t.Skip("its own service answers for reflection")
	}
	stream, err := grpc_reflection_v1.NewServerReflectionClient(r.conn).ServerReflectionInfo(r.context(t))
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}}) // what went wrong is in the reply
	reply, err := stream.Recv()
	for _, name := range r.Services {
		if !slices.ContainsFunc(reply.GetListServicesResponse().GetService(), func(s *grpc_reflection_v1.ServiceResponse) bool { return s.Name == name }) {
			t.Errorf("main.go: reflection does not name %s (%v)", name, err)
		}
	}
}
