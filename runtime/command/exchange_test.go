package command

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

func TestCancelledStreams(t *testing.T) {
	called := make(chan struct{})
	wait := func(stream interface{ Context() context.Context }) error {
		called <- struct{}{}
		<-stream.Context().Done()
		return nil
	}
	addr := start(t, streamServer{
		upload: func(stream uploadServer) error { return wait(stream) },
		watch: func(request *testpb.StreamingOutputCallRequest, stream watchServer) error {
			return cmp.Or(thrice(request, stream), wait(stream))
		},
		exchange: func(stream exchangeServer) error {
			return cmp.Or(thrice(&testpb.StreamingOutputCallRequest{}, stream), wait(stream))
		},
	})
	for _, test := range []struct{ name, out, want string }{
		{"upload", "", "upload: context canceled"},
		{"watch", strings.Repeat(nothing, 3), "<nil>"},
		{"exchange", strings.Repeat(nothing, 3), "<nil>"},
	} {
		ctx, cancel := context.WithCancel(soon(t))
		defer cancel()
		out := newOutput(len(test.out))
		go func() {
			<-called
			<-out.complete
			cancel()
		}()
		err := Run(ctx, envOf(never(t), out, test.name, "--addr", addr), streams)
		if fmt.Sprint(err) != test.want || out.String() != test.out {
			t.Errorf("%s: it prints %q, error %v, want %q, %s", test.name, out, err, test.out, test.want)
		}
	}
}

// output collects what a command prints.
type output struct {
	text     strings.Builder
	want     int
	complete chan struct{} // closed once it has the wanted number of bytes
}

func newOutput(want int) *output {
	o := &output{want: want, complete: make(chan struct{})}
	if want == 0 {
		close(o.complete)
	}
	return o
}

func (o *output) Write(text []byte) (int, error) {
	missing := o.want - o.text.Len()
	if missing > 0 && len(text) >= missing {
		defer close(o.complete)
	}
	return o.text.Write(text)
}

func (o *output) String() string { return o.text.String() }

func TestCancelledBeforeItHasBegun(t *testing.T) {
	addr := listen(t).Addr().String() // accepts connections, and sends nothing
	for _, name := range []string{"upload", "watch", "exchange"} {
		ctx, cancel := context.WithCancelCause(soon(t))
		time.AfterFunc(50*time.Millisecond, func() { cancel(errors.New("interrupt signal received")) })
		if _, err := feed(ctx, nil, streams, name, "--addr", addr); fmt.Sprint(err) != name+": interrupt signal received" {
			t.Errorf("the error is %v", err)
		}
	}
}

// A deadline of the caller's context is not a cancellation.
func TestDeadlineOfTheCaller(t *testing.T) {
	command := streamOf(t, nil)
	command.Call.do = func(ctx context.Context, x exchange) iter.Seq2[proto.Message, error] {
		return func(yield func(proto.Message, error) bool) {
			x.opened()
			<-ctx.Done()
			yield(nil, status.FromContextError(ctx.Err()).Err())
		}
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("out of time"))
	defer cancel()
	if _, err := run(ctx, []Command{command}, "receive"); fmt.Sprint(err) != "receive: out of time" {
		t.Errorf("the error is %v", err)
	}
}

// silent replies once, and then waits for the deadline, which the server knows, too.
// It must not end without an error then: it would have ended in time.
func silent(_ *testpb.StreamingOutputCallRequest, stream watchServer) error {
	err := stream.Send(&testpb.StreamingOutputCallResponse{})
	<-stream.Context().Done()
	return cmp.Or(err, status.FromContextError(stream.Context().Err()).Err())
}

func TestTimeoutThatIsGivenBoundsAStream(t *testing.T) {
	addr := start(t, streamServer{
		upload: count,
		watch:  silent,
		exchange: func(stream exchangeServer) error {
			return silent(nil, stream)
		},
	})
	for name, printed := range map[string]string{"upload": "", "watch": nothing, "exchange": nothing} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := feed(soon(t), never(t), streams, name, "--addr", addr, "--timeout", enough.String())
			if want := name + ": the call to " + addr + " did not end within 2s (see --timeout)"; fmt.Sprint(err) != want || out != printed {
				t.Errorf("it prints %q, error\n%v, want\n%s", out, err, want)
			}
		})
	}
}

// enough is a timeout within which a call begins, also on a busy machine.
const enough = 2 * time.Second

// within runs a command with another default timeout.
func within(t *testing.T, command Command, timeout time.Duration, stdout io.Writer, args ...string) error {
	t.Helper()
	env := envOf(never(t), stdout)
	parsed, err := command.parse(env, args)
	if err != nil {
		t.Fatal(err)
	}
	parsed.timeout = timeout
	return command.call(soon(t), env, parsed)
}

func TestTimeoutThatIsNotGiven(t *testing.T) {
	slow := func(stream grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
		time.Sleep(enough + 200*time.Millisecond)
		return stream.Send(&testpb.StreamingOutputCallResponse{})
	}
	addr := start(t, streamServer{
		upload: func(stream uploadServer) error {
			time.Sleep(enough + 200*time.Millisecond)
			return stream.SendAndClose(&testpb.StreamingInputCallResponse{})
		},
		watch:    func(_ *testpb.StreamingOutputCallRequest, stream watchServer) error { return slow(stream) },
		exchange: func(stream exchangeServer) error { return slow(stream) },
	})
	mute := listen(t).Addr().String() // accepts connections, and sends nothing
	for _, test := range []struct {
		command Command
		addr    string
		want    string
	}{
		{watch, addr, "<nil>"},
		{exchangeAll, addr, "<nil>"},
		{upload, addr, "<nil>"},
		{watch, mute, "no answer from " + mute + " within 2s (see --timeout)"},
		{exchangeAll, mute, "no answer from " + mute + " within 2s (see --timeout)"},
		{upload, mute, "no answer from " + mute + " within 2s (see --timeout)"},
	} {
		t.Run(test.command.Name+" "+test.want, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if err := within(t, test.command, enough, &out, "--addr", test.addr); fmt.Sprint(err) != test.want {
				t.Errorf("the error is\n%v, want\n%s", err, test.want)
			}
			if got := out.String(); (got != "") != (test.want == "<nil>") {
				t.Errorf("it prints %q", got)
			}
		})
	}
}

func TestStreamsWithoutServer(t *testing.T) {
	listener := listen(t)
	addr := listener.Addr().String()
	listener.Close()
	for _, name := range []string{"upload", "watch", "exchange"} {
		out, err := feed(soon(t), never(t), streams, name, "--addr", addr)
		if want := name + ": no server at " + addr; !strings.HasPrefix(fmt.Sprint(err), want) || out != "" {
			t.Errorf("it prints %q, error %v, want %s", out, err, want)
		}
	}
}

// closing is a connection that counts the calls of Close.
type closing struct {
	testClient
	closed *atomic.Int32
}

func (c closing) Close() error { c.closed.Add(1); return c.testClient.Close() }

func TestConnectionOfAStreamIsClosed(t *testing.T) {
	addr := start(t, streamServer{watch: thrice})
	for _, failure := range []error{nil, errors.New("no")} {
		var closed atomic.Int32
		command := Command{Name: "watch", Call: ServerStream(
			func(ctx context.Context, target string, options ...client.Option) (closing, error) {
				c, err := dial(ctx, target, options...)
				return closing{c, &closed}, err
			},
			func(ctx context.Context, c closing, request *testpb.StreamingOutputCallRequest) (testpb.TestService_StreamingOutputCallClient, error) {
				if failure != nil {
					return nil, failure
				}
				return testpb.NewTestServiceClient(c).StreamingOutputCall(ctx, request)
			},
		)}
		if _, err := feed(soon(t), nil, []Command{command}, "watch", "--addr", addr); !errors.Is(err, failure) || closed.Load() != 1 {
			t.Errorf("closed %d times, error %v", closed.Load(), err)
		}
	}
}

// However a call ends, no goroutine of it keeps running.
func TestNothingIsLeftBehind(t *testing.T) {
	addr := start(t, streamServer{
		upload:   func(uploadServer) error { return status.Error(codes.Aborted, "no") },
		watch:    thrice,
		exchange: func(stream exchangeServer) error { <-stream.Context().Done(); return nil },
	})
	before := runtime.NumGoroutine()
	var running sync.WaitGroup
	for range 10 {
		running.Go(func() { feed(t.Context(), &endless{value: payload}, streams, "upload", "--addr", addr) })
		running.Go(func() { feed(t.Context(), nil, streams, "watch", "--addr", addr) })
		running.Go(func() {
			feed(t.Context(), &endless{value: payload}, streams, "exchange", "--addr", addr, "--timeout", "200ms")
		})
		running.Go(func() {
			stdin, typed := io.Pipe()
			feed(t.Context(), stdin, streams, "upload", "--addr", addr)
			io.WriteString(typed, "{}") // ends the Read that was under way
		})
	}
	running.Wait()
	for deadline := time.Now().Add(testTimeout); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func TestHelpOfStreams(t *testing.T) {
	golden(t, streams, map[string][]string{
		"help-upload.txt":   {"help upload", "upload -h"},
		"help-watch.txt":    {"help watch", "watch --help"},
		"help-exchange.txt": {"help exchange", "exchange --help"},
	})
}

func TestProcessReadsItsStandardInput(t *testing.T) {
	addr := start(t, streamServer{upload: count})
	for stdin, want := range map[string]struct {
		code           int
		stdout, stderr string
	}{
		payload + payload: {0, `{"aggregatedPayloadSize":6}` + "\n", ""},
		payload + "\n]":   {1, "", "receiver-client: upload: standard input: line 2, column 1: invalid character ']' looking for beginning of value\n"},
	} {
		cmd, stdout, stderr := program("upload", "--json", "--addr", addr)
		cmd.Stdin = strings.NewReader(stdin)
		if err := cmd.Run(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != want.code || stdout.String() != want.stdout || !strings.HasSuffix(stderr.String(), want.stderr) || want.stderr == "" && stderr.Len() > 0 {
			t.Errorf("the exit code is %d, it prints %q with error %q", code, stdout, stderr)
		}
	}
}

// Ctrl-C is how a user stops watching: it is not an error, and the replies that came
// have been printed.
func TestInterruptEndsAStream(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("os.Interrupt can't be sent")
	}
	addr := start(t, streamServer{
		watch:    silent,
		exchange: func(stream exchangeServer) error { return silent(nil, stream) },
	})
	for _, name := range []string{"watch", "exchange"} {
		cmd, _, stderr := program(name, "--addr", addr)
		if _, err := cmd.StdinPipe(); err != nil { // nothing is written to it
			t.Fatal(err)
		}
		cmd.Stdout = nil
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, len(nothing))
		if _, err := io.ReadFull(stdout, line); err != nil || string(line) != nothing {
			t.Fatalf("it prints %q, error %v", line, err)
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(stdout)
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 0 || stderr.Len() > 0 || len(rest) > 0 {
			t.Errorf("%s: the exit code is %d, its error is %q, it prints also %q", name, code, stderr, rest)
		}
	}
}
