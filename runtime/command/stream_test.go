package command

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
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

// The commands of streaming RPCs, as generated programs have them.
var (
	upload = Command{
		Name:  "upload",
		Doc:   "Sends requests to the server.",
		Event: true,
		Flags: []Flag{{Name: "payload", Field: "payload"}},
		Call: ClientStream(dial, func(ctx context.Context, c testClient) (testpb.TestService_StreamingInputCallClient, error) {
			return testpb.NewTestServiceClient(c).StreamingInputCall(ctx)
		}),
	}
	watch = Command{
		Name:  "watch",
		Doc:   "Has the server send replies.",
		Flags: []Flag{{Name: "payload", Field: "payload"}},
		Call: ServerStream(dial, func(ctx context.Context, c testClient, request *testpb.StreamingOutputCallRequest) (testpb.TestService_StreamingOutputCallClient, error) {
			return testpb.NewTestServiceClient(c).StreamingOutputCall(ctx, request)
		}),
	}
	exchangeAll = Command{
		Name:  "exchange",
		Flags: []Flag{{Name: "payload", Field: "payload"}},
		Call: Bidi(dial, func(ctx context.Context, c testClient) (testpb.TestService_FullDuplexCallClient, error) {
			return testpb.NewTestServiceClient(c).FullDuplexCall(ctx)
		}),
	}
)

// The streams as protoc-gen-go-grpc made them before they were generic.
type (
	oldUploadClient interface {
		Send(*testpb.StreamingInputCallRequest) error
		CloseAndRecv() (*testpb.StreamingInputCallResponse, error)
		grpc.ClientStream
	}
	oldWatchClient interface {
		Recv() (*testpb.StreamingOutputCallResponse, error)
		grpc.ClientStream
	}
	oldExchangeClient interface {
		Send(*testpb.StreamingOutputCallRequest) error
		Recv() (*testpb.StreamingOutputCallResponse, error)
		grpc.ClientStream
	}
)

var old = []Command{
	{Name: "upload", Flags: upload.Flags, Call: ClientStream(dial, func(ctx context.Context, c testClient) (oldUploadClient, error) {
		return testpb.NewTestServiceClient(c).StreamingInputCall(ctx)
	})},
	{Name: "watch", Flags: watch.Flags, Call: ServerStream(dial, func(ctx context.Context, c testClient, request *testpb.StreamingOutputCallRequest) (oldWatchClient, error) {
		return testpb.NewTestServiceClient(c).StreamingOutputCall(ctx, request)
	})},
	{Name: "exchange", Flags: exchangeAll.Flags, Call: Bidi(dial, func(ctx context.Context, c testClient) (oldExchangeClient, error) {
		return testpb.NewTestServiceClient(c).FullDuplexCall(ctx)
	})},
}

var streams = []Command{upload, watch, exchangeAll}

type (
	uploadServer   = testpb.TestService_StreamingInputCallServer
	watchServer    = testpb.TestService_StreamingOutputCallServer
	exchangeServer = testpb.TestService_FullDuplexCallServer
)

// streamServer serves the streaming RPCs for which it has functions.
type streamServer struct {
	testpb.UnimplementedTestServiceServer
	upload   func(uploadServer) error
	watch    func(*testpb.StreamingOutputCallRequest, watchServer) error
	exchange func(exchangeServer) error
}

func (s streamServer) StreamingInputCall(stream uploadServer) error { return s.upload(stream) }

func (s streamServer) StreamingOutputCall(request *testpb.StreamingOutputCallRequest, stream watchServer) error {
	return s.watch(request, stream)
}

func (s streamServer) FullDuplexCall(stream exchangeServer) error { return s.exchange(stream) }

// count answers with the number of bytes that it got, plus one for each request.
func count(stream uploadServer) error {
	sum := 0
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)})
		}
		if err != nil {
			return err
		}
		sum += 1 + len(request.Payload.GetBody())
	}
}

// thrice replies three times with the payload of the request.
func thrice(request *testpb.StreamingOutputCallRequest, stream watchServer) error {
	for range 3 {
		if err := stream.Send(&testpb.StreamingOutputCallResponse{Payload: request.Payload}); err != nil {
			return err
		}
	}
	return nil
}

// echoAll replies to each request with its payload.
func echoAll(stream exchangeServer) error {
	for {
		request, err := stream.Recv()
		if err == io.EOF {
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

// feed runs receiver-client with a standard input.
func feed(ctx context.Context, stdin io.Reader, commands []Command, args ...string) (stdout string, err error) {
	var out bytes.Buffer
	err = Run(ctx, envOf(stdin, &out, args...), commands)
	return out.String(), err
}

func envOf(stdin io.Reader, stdout io.Writer, args ...string) Env {
	return Env{Program: "receiver-client", Args: args, Getenv: func(string) string { return "" }, Stdin: stdin, Stdout: stdout}
}

// never returns a standard input on which nothing arrives until the test ends.
func never(t *testing.T) io.Reader {
	reader, writer := io.Pipe()
	t.Cleanup(func() { writer.Close() })
	return reader
}

// testTimeout bounds how long a test waits for what must happen.
const testTimeout = time.Minute

// soon fails a test whose command does not end.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), testTimeout, errors.New("it does not end"))
	t.Cleanup(cancel)
	return ctx
}

const (
	payload = `{"payload": {"body": "+/8="}}`
	reply   = `{"payload":{"type":"COMPRESSABLE","body":"+/8="},"peerSocketAddress":""}` + "\n"
	nothing = `{"peerSocketAddress":""}` + "\n"
)

func TestStreams(t *testing.T) {
	addr := start(t, streamServer{upload: count, watch: thrice, exchange: echoAll})
	for _, test := range []struct {
		args, stdin string
		want        string
	}{
		{"upload", payload + payload + "\n{}\n", "{\n  \"aggregatedPayloadSize\": 7\n}\n"},
		{"upload --json", payload, `{"aggregatedPayloadSize":3}` + "\n"},
		{"upload --json", "", `{"aggregatedPayloadSize":0}` + "\n"},
		{"upload --json", " \n", `{"aggregatedPayloadSize":0}` + "\n"},
		{`upload --json --payload {"body":"+/8="}`, "not read", `{"aggregatedPayloadSize":3}` + "\n"},
		{`upload --json --payload {}`, "", `{"aggregatedPayloadSize":1}` + "\n"},

		{"watch", "not read", strings.Repeat(nothing, 3)},
		{`watch --payload {"body":"+/8="}`, "not read", strings.Repeat(reply, 3)},
		{`watch --json --payload {"body":"+/8="}`, "", strings.Repeat(reply, 3)},

		{"exchange", payload + "{}" + payload, reply + nothing + reply},
		{"exchange --json", payload, reply},
		{"exchange", "", ""},
		{`exchange --payload {"body":"+/8="}`, "not read", reply},
	} {
		t.Run(test.args, func(t *testing.T) {
			for name, commands := range map[string][]Command{"generic": streams, "old": old} {
				args := append(strings.Fields(test.args), "--addr", addr)
				out, err := feed(soon(t), strings.NewReader(test.stdin), commands, args...)
				if out != test.want || err != nil {
					t.Errorf("%s: it prints\n%s, error %v, want\n%s", name, out, err, test.want)
				}
			}
		})
	}
}

func TestNoStdinIsAnEmptyOne(t *testing.T) {
	addr := start(t, streamServer{upload: count})
	out, err := feed(soon(t), nil, streams, "upload", "--json", "--addr", addr)
	if out != `{"aggregatedPayloadSize":0}`+"\n" || err != nil {
		t.Errorf("it prints %q, error %v", out, err)
	}
}

func TestEventIDGoesWithTheStream(t *testing.T) {
	addr := start(t, streamServer{upload: func(stream uploadServer) error {
		response, err := mirror(stream.Context(), &testpb.SimpleRequest{FillUsername: true})
		return cmp.Or(err, status.Error(codes.Aborted, response.Username))
	}})
	if _, err := feed(soon(t), nil, streams, "upload", "--addr", addr, "--event-id", "id-1"); fmt.Sprint(err) != "upload: Aborted: id-1" {
		t.Errorf("the error is %v", err)
	}
}

// In a bidi call each reply can be read before the next request is typed.
func TestBidiIsInterleaved(t *testing.T) {
	addr := start(t, streamServer{exchange: echoAll})
	stdin, typed := io.Pipe()
	shown, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- Run(soon(t), envOf(stdin, stdout, "exchange", "--addr", addr), streams)
		stdout.Close()
	}()
	for range 3 {
		if _, err := io.WriteString(typed, payload); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, len(reply))
		if _, err := io.ReadFull(shown, line); err != nil || string(line) != reply {
			t.Fatalf("it prints %q, error %v", line, err)
		}
	}
	typed.Close()
	if rest, err := io.ReadAll(shown); len(rest) > 0 || err != nil {
		t.Errorf("it prints also %q, error %v", rest, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// The server may send many replies after the last request.
func TestBidiEndsWithTheServer(t *testing.T) {
	addr := start(t, streamServer{exchange: func(stream exchangeServer) error {
		if _, err := stream.Recv(); err != io.EOF {
			t.Errorf("it has sent something, error %v", err)
		}
		time.Sleep(50 * time.Millisecond)
		return thrice(&testpb.StreamingOutputCallRequest{}, stream)
	}})
	if out, err := feed(soon(t), nil, streams, "exchange", "--addr", addr); out != strings.Repeat(nothing, 3) || err != nil {
		t.Errorf("it prints %q, error %v", out, err)
	}
}

// streamOf returns a command of the Receiver demo with many replies, and then the
// error failure unless it is nil.
func streamOf(t *testing.T, failure error, replies ...string) Command {
	command := receive(t, nil)
	descriptor := descriptorOf(t, "receiver.proto", "Reply")
	command.Call.manyReplies = true
	command.Call.do = func(context.Context, exchange) iter.Seq2[proto.Message, error] {
		return func(yield func(proto.Message, error) bool) {
			for _, text := range replies {
				if !yield(messageOf(t, descriptor, text), nil) {
					return
				}
			}
			if failure != nil {
				yield(nil, failure)
			}
		}
	}
	return command
}

func TestRepliesThatGreet(t *testing.T) {
	command := streamOf(t, nil, `{"message": "Hello, jerry!"}`, `{"status": 7, "message": "no"}`)
	for args, want := range map[string]string{
		"receive":        "client status: 0 received: Hello, jerry!\nclient status: 7 received: no\n",
		"receive --json": `{"status":0,"message":"Hello, jerry!"}` + "\n" + `{"status":7,"message":"no"}` + "\n",
	} {
		if out, err := run(t.Context(), []Command{command}, strings.Fields(args)...); out != want || err != nil {
			t.Errorf("%s: it prints\n%s, error %v, want\n%s", args, out, err, want)
		}
	}
}

// writes keeps each Write separately.
type writes []string

func (w *writes) Write(text []byte) (int, error) {
	*w = append(*w, string(text))
	return len(text), nil
}

func TestEachReplyIsOneWrite(t *testing.T) {
	var out writes
	command := streamOf(t, nil, `{}`, `{}`)
	if err := Run(t.Context(), envOf(nil, &out, "receive", "--json"), []Command{command}); err != nil {
		t.Fatal(err)
	}
	if want := `{"status":0,"message":""}` + "\n"; len(out) != 2 || out[0] != want || out[1] != want {
		t.Errorf("it writes %q", out)
	}
}

func TestOutputThatFailsEndsTheStream(t *testing.T) {
	gone := make(chan struct{})
	addr := start(t, streamServer{watch: func(request *testpb.StreamingOutputCallRequest, stream watchServer) error {
		defer close(gone)
		for thrice(request, stream) == nil {
		}
		return nil
	}})
	if err := Run(soon(t), envOf(nil, fullDisk{}, "watch", "--addr", addr), streams); !errors.Is(err, errFull) {
		t.Errorf("the error is %v", err)
	}
	<-gone
}

func TestRepliesBeforeAnErrorStayPrinted(t *testing.T) {
	full := status.Error(codes.ResourceExhausted, "that is enough")
	addr := start(t, streamServer{
		watch: func(request *testpb.StreamingOutputCallRequest, stream watchServer) error {
			return cmp.Or(thrice(request, stream), full)
		},
		exchange: func(stream exchangeServer) error {
			if _, err := stream.Recv(); err != nil {
				return err
			}
			return cmp.Or(thrice(&testpb.StreamingOutputCallRequest{}, stream), full)
		},
	})
	for _, name := range []string{"watch", "exchange"} {
		stdin := io.MultiReader(strings.NewReader("{}"), never(t))
		out, err := feed(soon(t), stdin, streams, name, "--addr", addr)
		if want := name + ": ResourceExhausted: that is enough"; fmt.Sprint(err) != want || out != strings.Repeat(nothing, 3) {
			t.Errorf("it prints %q, error %v, want %s", out, err, want)
		}
	}
}

// endless is a standard input that repeats a value.
type endless struct {
	value string
	read  atomic.Int64
}

func (e *endless) Read(p []byte) (int, error) {
	at := int(e.read.Load())
	for i := range p {
		p[i] = e.value[(at+i)%len(e.value)]
	}
	e.read.Add(int64(len(p)))
	return len(p), nil
}

// A call ends when the server ends it, whether the next request is being typed or
// being sent.
func TestServerThatEndsTheStreamEarly(t *testing.T) {
	failure := status.Error(codes.FailedPrecondition, "closed today")
	refusing := start(t, streamServer{
		upload: func(stream uploadServer) error {
			_, err := stream.Recv()
			return cmp.Or(err, failure)
		},
		exchange: func(stream exchangeServer) error {
			_, err := stream.Recv()
			return cmp.Or(err, failure)
		},
	})
	content := start(t, streamServer{
		upload: func(stream uploadServer) error {
			_, err := stream.Recv()
			return cmp.Or(err, stream.SendAndClose(&testpb.StreamingInputCallResponse{}))
		},
		exchange: func(stream exchangeServer) error {
			_, err := stream.Recv()
			return cmp.Or(err, stream.Send(&testpb.StreamingOutputCallResponse{}))
		},
	})
	for stdin, reader := range map[string]func() io.Reader{
		"idle":    func() io.Reader { return io.MultiReader(strings.NewReader("{}"), never(t)) },
		"endless": func() io.Reader { return &endless{value: payload} },
	} {
		for name, out := range map[string]string{"upload": `{"aggregatedPayloadSize":0}` + "\n", "exchange": nothing} {
			t.Run(name+" "+stdin, func(t *testing.T) {
				got, err := feed(soon(t), reader(), streams, name, "--json", "--addr", refusing)
				if want := name + ": FailedPrecondition: closed today"; fmt.Sprint(err) != want || got != "" {
					t.Errorf("it prints %q, error %v, want %s", got, err, want)
				}
				if got, err := feed(soon(t), reader(), streams, name, "--json", "--addr", content); got != out || err != nil {
					t.Errorf("it prints %q, error %v, want %s", got, err, out)
				}
			})
		}
	}
}

// A server that waits for the end of the requests must not mistake an error for
// it.
func TestMalformedInputCancelsTheCall(t *testing.T) {
	begun, heard := make(chan struct{}, 1), make(chan error, 1)
	addr := start(t, streamServer{
		upload: func(stream uploadServer) error {
			begun <- struct{}{}
			_, err := stream.Recv()
			for err == nil {
				_, err = stream.Recv()
			}
			heard <- err
			return err
		},
		exchange: func(stream exchangeServer) error {
			begun <- struct{}{}
			err := echoAll(stream)
			heard <- err
			return err
		},
	})
	for _, name := range []string{"upload", "exchange"} {
		for text, want := range map[string]string{
			`{}` + "\n" + `{"payload": x}`: "line 2, column 13: invalid character 'x' looking for beginning of value",
			`{} {"load": 1}`:               `line 1, column 5: unknown field "load"`,
			`{}` + "\n" + `{"payload": {`:  "line 2, column 14: unexpected end of JSON input",
		} {
			stdin, typed := io.Pipe()
			go func() {
				io.WriteString(typed, text[:2])
				<-begun
				io.WriteString(typed, text[2:])
				typed.Close()
			}()
			out, err := feed(soon(t), stdin, streams, name, "--addr", addr)
			if fmt.Sprint(err) != name+": standard input: "+want {
				t.Errorf("the error is\n%v, want\n%s", err, want)
			}
			if name == "upload" && out != "" {
				t.Errorf("it prints %q", out)
			}
			// The end of the connection may arrive before that of the call.
			if err := <-heard; status.Code(err) != codes.Canceled && status.Code(err) != codes.Unavailable {
				t.Errorf("the server gets %v, want a cancelled call", err)
			}
		}
	}
}

func TestRequiredFieldsOfInput(t *testing.T) {
	command := commandOf(descriptorOf(t, "old.proto", "Old"))
	command.Call.manyRequests = true
	command.Call.do = once(answer(nil, errors.New("called")))
	for _, test := range []struct{ stdin, args, want string }{
		{`{"number": 1}`, "send", "send: standard input: line 1, column 1: required field old.Old.name not set"},
		{"", "send --number 1", "send: required field old.Old.name not set"},
		{`{"name": "a"}`, "send", "send: called"},
		{"not read", "send --name a", "send: called"},
	} {
		_, err := feed(t.Context(), strings.NewReader(test.stdin), []Command{command}, strings.Fields(test.args)...)
		if fmt.Sprint(err) != test.want {
			t.Errorf("%s: the error is\n%v, want\n%s", test.args, err, test.want)
		}
	}
}

// A request that can't be sent is the reported error, whichever side notices first.
func TestRequestThatCannotBeSent(t *testing.T) {
	addr := start(t, streamServer{upload: count, exchange: echoAll})
	narrow := func(ctx context.Context, target string, options ...client.Option) (testClient, error) {
		return dial(ctx, target, append(options, client.With(grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1))))...)
	}
	commands := []Command{
		{Name: "upload", Call: ClientStream(narrow, func(ctx context.Context, c testClient) (testpb.TestService_StreamingInputCallClient, error) {
			return testpb.NewTestServiceClient(c).StreamingInputCall(ctx)
		})},
		{Name: "exchange", Call: Bidi(narrow, func(ctx context.Context, c testClient) (testpb.TestService_FullDuplexCallClient, error) {
			return testpb.NewTestServiceClient(c).FullDuplexCall(ctx)
		})},
	}
	for range 50 {
		for _, name := range []string{"upload", "exchange"} {
			_, err := feed(soon(t), strings.NewReader(payload), commands, name, "--addr", addr)
			if want := name + ": ResourceExhausted: trying to send message larger than max"; !strings.HasPrefix(fmt.Sprint(err), want) {
				t.Fatalf("the error is %v, want %s", err, want)
			}
		}
	}
}

// The call may end because Send failed, and this end may be noticed before the error
// of Send.
func TestTheErrorOfThisSideIsReported(t *testing.T) {
	reason := errors.New("too large")
	ctx, abort := context.WithCancelCause(t.Context())
	defer abort(nil)
	failing := make(chan struct{})
	s := stream{
		sendAll: requestStream{send: func(proto.Message) error {
			close(failing)
			time.Sleep(50 * time.Millisecond)
			return reason
		}}.sendAll,
		receive: func() (proto.Message, error) {
			<-failing
			return nil, status.FromContextError(context.Canceled).Err()
		},
	}
	x := exchange{requests: func() (proto.Message, error) { return &testpb.Empty{}, nil }, abort: abort}
	s.run(ctx, x, func(_ proto.Message, err error) bool {
		if got := new(parsed).callError(ctx, err); got != reason {
			t.Errorf("the error is %v", got)
		}
		return true
	})
}

// With some streams, Recv must not be called again after the one reply.
func TestOneReplyIsReceivedOnce(t *testing.T) {
	received := 0
	s := stream{oneReply: true, receive: func() (proto.Message, error) {
		received++
		return &testpb.Empty{}, nil
	}}
	s.run(t.Context(), exchange{}, func(_ proto.Message, err error) bool { return received < 3 && err == nil })
	if received != 1 {
		t.Errorf("it receives %d times", received)
	}
}

func TestRequestThatComesTooLateIsNotSent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, end := range []error{nil, io.EOF, errors.New("malformed")} {
		x := exchange{
			requests: func() (proto.Message, error) { cancel(); return &testpb.Empty{}, end },
			abort:    func(err error) { t.Errorf("it aborts: %v", err) },
		}
		s := requestStream{
			send:      func(proto.Message) error { t.Error("it is sent"); return io.EOF },
			closeSend: func() error { t.Error("the end is sent"); return nil },
		}
		s.sendAll(ctx, x, new(sync.Mutex))
	}
}

func TestManyMessages(t *testing.T) {
	const many = 20_000
	addr := start(t, streamServer{upload: count, exchange: echoAll})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stdin := strings.Repeat(payload+"\n", many)
	out, err := feed(ctx, strings.NewReader(stdin), streams, "upload", "--json", "--addr", addr, "--timeout", "1m")
	if want := fmt.Sprintf(`{"aggregatedPayloadSize":%d}`+"\n", 3*many); out != want || err != nil {
		t.Errorf("it prints %q, error %v, want %q", out, err, want)
	}
	out, err = feed(ctx, strings.NewReader(stdin), streams, "exchange", "--addr", addr)
	if out != strings.Repeat(reply, many) || err != nil {
		t.Errorf("it prints %d lines, error %v", strings.Count(out, "\n"), err)
	}
}

// What the other side does not take yet is not read yet.
func TestBackpressure(t *testing.T) {
	const bound = 8 << 20
	var sent atomic.Int64
	addr := start(t, streamServer{
		exchange: func(stream exchangeServer) error { <-stream.Context().Done(); return nil },
		watch: func(_ *testpb.StreamingOutputCallRequest, stream watchServer) error {
			response := &testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, 1000)}}
			for stream.Send(response) == nil {
				sent.Add(1000)
			}
			return nil
		},
	})
	stdin := &endless{value: `{"payload": {"body": "` + strings.Repeat("A", 1000) + `"}}`}
	_, stdout := io.Pipe() // nobody reads it
	for name, passed := range map[string]*atomic.Int64{"exchange": &stdin.read, "watch": &sent} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- Run(ctx, envOf(stdin, stdout, name, "--addr", addr), streams) }()
		last := int64(-1)
		for passed.Load() == 0 || passed.Load() != last {
			last = passed.Load()
			if last > bound {
				t.Fatalf("%s: %d bytes have passed", name, last)
			}
			time.Sleep(100 * time.Millisecond)
		}
		cancel()
		stdout.Close()
		<-ended
	}
}
