package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

// store is what a server would do with batches: it stores all of one, or none.
type store struct {
	sizes  []int    // of the batches, in parameters
	ids    []string // that came with them
	types  []testpb.PayloadType
	failAt int // which batch, from 1, gets failure
	slow   bool
}

var failure = status.Error(codes.ResourceExhausted, "the disk is full")

func (s *store) take(ctx context.Context, _ closer, request *testpb.StreamingOutputCallRequest) (*testpb.SimpleResponse, error) {
	sent, _ := metadata.FromOutgoingContext(ctx)
	s.sizes = append(s.sizes, len(request.ResponseParameters))
	s.ids = append(s.ids, strings.Join(sent.Get("event-id"), ","))
	s.types = append(s.types, request.ResponseType)
	switch {
	case s.slow:
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	case len(s.sizes) == s.failAt:
		return nil, failure
	}
	return &testpb.SimpleResponse{Username: fmt.Sprint(len(request.ResponseParameters))}, nil
}

// command returns a command of an RPC that takes a batch, or one event if batch is
// empty, and how often it was connected and closed.
func (s *store) command(batch string) (c Command, dialed, closed *int) {
	dialed, closed = new(int), new(int)
	return Command{
		Name: "put-all", Batch: batch, Reads: batch == "", Event: true,
		Flags: []Flag{{Name: "parameters", Field: "response_parameters"}, {Name: "type", Field: "response_type"}},
		Call: Unary(func(context.Context, string, ...client.Option) (closer, error) {
			*dialed++
			return closer{closed}, nil
		}, s.take),
	}, dialed, closed
}

// runAll runs the command, and returns what it prints.
func runAll(t *testing.T, c Command, stdin io.Reader, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	env := envOf(stdin, &out, append([]string{c.Name}, args...)...)
	env.Stderr = &errs
	err = Run(soon(t), env, []Command{c})
	return out.String(), errs.String(), err
}

// lines returns that many values, each in a line.
func lines(n int) string { return strings.Repeat("{\"size\": 7}\n", n) }

func TestABatchIsReadFromTheStandardInput(t *testing.T) {
	large := strings.Repeat(`{"size": 7, "interval_us": 7}`+"\n", 3)
	for name, test := range map[string]struct {
		stdin  string
		args   []string
		sizes  []int
		ids    []string // "" for any; nil for one that is made for each call
		stderr string
	}{
		"three":               {stdin: lines(3), sizes: []int{3}, stderr: "3 events acknowledged in 1 call"},
		"one":                 {stdin: lines(1), sizes: []int{1}, stderr: "1 event acknowledged in 1 call"},
		"more than one takes": {stdin: lines(1201), sizes: []int{500, 500, 201}, stderr: "1201 events acknowledged in 3 calls"},
		"none":                {stdin: "\n", stderr: "0 events acknowledged in 0 calls"},
		"with an id": {stdin: lines(1001), args: []string{"--event-id", "a"}, sizes: []int{500, 500, 1}, ids: []string{"a", "a/2", "a/3"},
			stderr: "1001 events acknowledged in 3 calls"},
		"with its other fields": {stdin: large, args: []string{"--type", "COMPRESSABLE"}, sizes: []int{3}, stderr: "3 events acknowledged in 1 call"},
		"by a flag":             {stdin: "not read", args: []string{"--parameters", "{}"}, sizes: []int{1}, ids: []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			var s store
			c, dialed, closed := s.command("response_parameters")
			stdout, stderr, err := runAll(t, c, strings.NewReader(test.stdin), append(test.args, "--json")...)
			if err != nil {
				t.Fatal(err)
			}
			if test.stderr != "" {
				test.stderr = "receiver-client: put-all: " + test.stderr + "\n"
			}
			if stderr != test.stderr || !slices.Equal(s.sizes, test.sizes) {
				t.Errorf("batches of %v, and it prints %q, want %v and %q", s.sizes, stderr, test.sizes, test.stderr)
			}
			if test.ids == nil && (len(slices.Compact(slices.Clone(s.ids))) != len(test.sizes) || slices.Contains(s.ids, "")) || test.ids != nil && !slices.Equal(s.ids, test.ids) {
				t.Errorf("the batches have the ids %q, want %q", s.ids, test.ids)
			}
			if strings.Count(stdout, "\n") != len(test.sizes) {
				t.Errorf("it prints %q, want %d lines", stdout, len(test.sizes))
			}
			if *closed != *dialed || *dialed > 1 {
				t.Errorf("it connects %d times, and closes %d", *dialed, *closed)
			}
		})
	}
}

// TestABatchIsSentWhenNothingMoreHasCome: whoever types or follows a file does not
// wait for 500 events, unless the id of the first batch is given: then the same
// input makes the same batches, so that it may be sent again.
func TestABatchIsSentWhenNothingMoreHasCome(t *testing.T) {
	for args, want := range map[string][]int{"": {2, 1, 3}, "--event-id a": {6}} {
		var s store
		c, _, _ := s.command("response_parameters")
		pieces := make([]io.Reader, 0, 3)
		for _, n := range []int{2, 1, 3} {
			pieces = append(pieces, strings.NewReader(lines(n)))
		}
		if _, _, err := runAll(t, c, io.MultiReader(pieces...), strings.Fields(args)...); err != nil || !slices.Equal(s.sizes, want) {
			t.Errorf("%q: batches of %v, %v, want %v", args, s.sizes, err, want)
		}
	}
}

// TestALargeBatchIsSplit: it is bounded by its bytes, too.
// TestACommandThatWaitsForInputCanBeInterrupted: what reads a pipe may wait for the next
// event for as long as it likes.
func TestACommandThatWaitsForInputCanBeInterrupted(t *testing.T) {
	for name, batch := range map[string]string{"batches": "response_parameters", "single events": ""} {
		t.Run(name, func(t *testing.T) {
			var s store
			c, _, closed := s.command(batch)
			ctx, cancel := context.WithCancelCause(soon(t))
			stdin := io.MultiReader(strings.NewReader("{}\n{}\n{}\n"), readerFunc(func([]byte) (int, error) {
				cancel(errors.New("interrupt signal received"))
				select {} // until the process ends
			}))
			var out, errs bytes.Buffer
			env := envOf(stdin, &out, c.Name)
			env.Stderr = &errs
			ended := make(chan error, 1)
			go func() { ended <- Run(ctx, env, []Command{c}) }()
			select {
			case err := <-ended:
				if want := c.Name + ": interrupt signal received"; fmt.Sprint(err) != want {
					t.Errorf("the error is %v, want %s", err, want)
				}
			case <-time.After(testTimeout):
				t.Fatal("it goes on waiting for the standard input")
			}
			if !strings.Contains(errs.String(), " acknowledged in ") || *closed != min(len(s.sizes), 1) {
				t.Errorf("it prints %q, and closes its connection %d times", errs.String(), *closed)
			}
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestALargeBatchIsSplit(t *testing.T) {
	r := reading{
		in: newInput(strings.NewReader(strings.Repeat(`{"body": "`+strings.Repeat("A", 400<<10)+"\"}\n", 8))), whole: true,
	}
	batch := descriptorOf(t, "replies.proto", "Parts")
	r.filled = messageOf(t, batch, "{}")
	r.batch = batch.Fields().ByName("parts")
	var sizes []int
	var firsts []int
	for {
		request, err := r.nextBatch()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if size := proto.Size(request); size > maxBatchBytes+1000 {
			t.Errorf("a batch has %d bytes", size)
		}
		sizes, firsts = append(sizes, r.elements), append(firsts, r.first)
	}
	if !slices.Equal(sizes, []int{3, 3, 2}) || !slices.Equal(firsts, []int{1, 4, 7}) {
		t.Errorf("batches of %v from lines %v, want [3 3 2] from [1 4 7]", sizes, firsts)
	}
}

func TestWhatWasAcknowledgedIsReportedAfterAnError(t *testing.T) {
	for name, test := range map[string]struct {
		store  *store
		stdin  string
		args   []string
		err    string
		stdout int // lines
		stderr string
	}{
		"a refusal": {store: &store{failAt: 3}, stdin: lines(1201), err: "put-all: ResourceExhausted: the disk is full", stdout: 2,
			stderr: "1000 events acknowledged in 2 calls; go on with line 1001 of the standard input, and with --event-id ID: what is stored already is then not stored twice"},
		"a refusal of an id": {store: &store{failAt: 2}, stdin: lines(1201), args: []string{"--event-id", "a"}, err: "put-all: ResourceExhausted: the disk is full", stdout: 1,
			stderr: "500 events acknowledged in 1 call; go on with line 501 of the standard input, and with --event-id a/2: what is stored already is then not stored twice"},
		"a server that hangs": {store: &store{slow: true}, stdin: lines(3), args: []string{"--timeout", "50ms"}, err: "put-all: no answer from localhost:50051 within 50ms (see --timeout)",
			stderr: "0 events acknowledged in 0 calls; go on with line 1 of the standard input, and with --event-id ID: what is stored already is then not stored twice"},
		"a mistake in a line": {store: &store{}, stdin: lines(700) + "{\"size\": x}\n", err: "put-all: standard input: line 701, column 10: invalid character 'x' looking for beginning of value", stdout: 2,
			stderr: "700 events acknowledged in 2 calls"},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, closed := test.store.command("response_parameters")
			stdout, stderr, err := runAll(t, c, strings.NewReader(test.stdin), append(test.args, "--json")...)
			if fmt.Sprint(err) != test.err || strings.Count(stdout, "\n") != test.stdout {
				t.Errorf("error\n%v, %d lines, want\n%s, %d", err, strings.Count(stdout, "\n"), test.err, test.stdout)
			}
			if last := test.store.ids[len(test.store.ids)-1]; stderr != "receiver-client: put-all: "+strings.Replace(test.stderr, "ID", last, 1)+"\n" {
				t.Errorf("it prints\n%s, want\n%s", stderr, test.stderr)
			}
			if *closed != 1 {
				t.Errorf("the connection is closed %d times", *closed)
			}
		})
	}
}

// TestEventsAreReadFromAFile: an RPC that takes one event is called for each, where
// the standard input is a file; on a terminal it sends what flags describe.
func TestEventsAreReadFromAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lines.jsonl")
	if err := os.WriteFile(name, []byte(strings.Repeat("{\"responseType\": \"COMPRESSABLE\"}\n", 3)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{name: 3, os.DevNull: 1} {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		var s store
		c, _, _ := s.command("")
		stdout, stderr, err := runAll(t, c, file, "--json")
		if err != nil || len(s.sizes) != want || strings.Count(stdout, "\n") != want {
			t.Errorf("%s: %d calls, %v, and it prints %q, want %d", path, len(s.sizes), err, stdout, want)
		}
		if want == 3 && stderr != "receiver-client: put-all: 3 events acknowledged in 3 calls\n" {
			t.Errorf("it prints %q", stderr)
		}
		file.Seek(0, io.SeekStart)
		if _, _, err := runAll(t, c, file, "--type", "COMPRESSABLE"); err != nil || len(s.sizes) != want+1 {
			t.Errorf("%s: with a flag %d calls more, %v, want 1", path, len(s.sizes)-want, err)
		}
	}
}

// TestOnlyCallsWithEventsHaveAnID: the calls of a command without a flag for the event
// id have none, also after the first.
func TestOnlyCallsWithEventsHaveAnID(t *testing.T) {
	var s store
	c, _, _ := s.command("")
	c.Event = false
	if _, _, err := runAll(t, c, strings.NewReader(strings.Repeat("{}\n", 3))); err != nil {
		t.Fatal(err)
	}
	if want := []string{"", "", ""}; !slices.Equal(s.ids, want) {
		t.Errorf("the calls have the ids %q, want %q", s.ids, want)
	}
}

// TestAStreamThatFailsReportsWhatWasSent: nobody has to guess after an error.
func TestAStreamThatFailsReportsWhatWasSent(t *testing.T) {
	full := status.Error(codes.ResourceExhausted, "the disk is full")
	addr := start(t, streamServer{
		upload: func(stream uploadServer) error {
			for range 3 {
				if _, err := stream.Recv(); err != nil {
					return err
				}
			}
			return full
		},
		exchange: func(stream exchangeServer) error {
			for range 3 {
				if _, err := stream.Recv(); err != nil {
					return err
				}
				if err := stream.Send(&testpb.StreamingOutputCallResponse{}); err != nil {
					return err
				}
			}
			return full
		},
	})
	for name, want := range map[string]string{
		"upload":   `^receiver-client: upload: 3 requests sent, 0 replies received; send all of them again with --event-id [-0-9a-f]{36}: what is stored already is then not stored twice\n$`,
		"exchange": `^receiver-client: exchange: 3 requests sent, 3 replies received\n$`,
	} {
		i := slices.IndexFunc(streams, func(c Command) bool { return c.Name == name })
		stdin := io.MultiReader(strings.NewReader(strings.Repeat(payload, 3)), never(t))
		_, stderr, err := runAll(t, streams[i], stdin, "--addr", addr)
		if fmt.Sprint(err) != name+": ResourceExhausted: the disk is full" || !regexp.MustCompile(want).MatchString(stderr) {
			t.Errorf("error %v, and it prints %q, want %s", err, stderr, want)
		}
	}
}

// TestAnEarlyEndIsReported: the server may end a call before the standard input has
// ended; the rest of it is not sent.
func TestAnEarlyEndIsReported(t *testing.T) {
	addr := start(t, streamServer{upload: func(stream uploadServer) error {
		_, err := stream.Recv()
		if err != nil {
			return err
		}
		return stream.SendAndClose(&testpb.StreamingInputCallResponse{})
	}})
	_, stderr, err := runAll(t, upload, io.MultiReader(strings.NewReader(payload), never(t)), "--addr", addr)
	if want := "receiver-client: upload: the server ended the call after 1 request, before the end of the standard input\n"; err != nil || stderr != want {
		t.Errorf("error %v, and it prints %q, want %q", err, stderr, want)
	}
}

// TestTheLastAnswerIsPrinted: a call that was tried until its timeout shows what
// the server had answered.
func TestTheLastAnswerIsPrinted(t *testing.T) {
	var answered atomic.Bool
	addr := serve(t, func(ctx context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		if !answered.Swap(true) {
			return nil, status.Error(codes.Unavailable, "the log is away")
		}
		return block(ctx, request)
	})
	c := Command{Name: "echo", Call: Unary(func(ctx context.Context, target string, options ...client.Option) (testClient, error) {
		conn, err := client.Dial(ctx, target, []client.Service{{Name: "grpc.testing.TestService", Methods: []client.Method{{Name: "UnaryCall", Retry: true}}}}, options...)
		return testClient{conn}, err
	}, func(ctx context.Context, c testClient, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return testpb.NewTestServiceClient(c).UnaryCall(ctx, request)
	})}
	_, err := run(t.Context(), []Command{c}, "echo", "--addr", addr, "--timeout", "1s")
	if want := "echo: no answer from " + addr + " within 1s (see --timeout); its last answer was Unavailable: the log is away"; fmt.Sprint(err) != want {
		t.Errorf("the error is\n%v, want\n%s", err, want)
	}
}

// TestAReplyThatCannotBeReadIsShownRaw: it does not end the stream. Its server has
// an older proto, in which a string was bytes.
func TestAReplyThatCannotBeReadIsShownRaw(t *testing.T) {
	var replies codec
	first, second := new(testpb.StreamingOutputCallResponse), new(testpb.StreamingOutputCallResponse)
	if err := replies.Unmarshal([]byte{0x12, 1, 0xff}, first); err != nil { // peer_socket_address
		t.Fatal(err)
	}
	if err := replies.Unmarshal([]byte{0x12, 1, 'a'}, second); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, reply := range []proto.Message{first, second} {
		if err := (&parsed{json: true}).printReply(&out, &replies, reply, true); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"type":"grpc.testing.StreamingOutputCallResponse","data_base64":"EgH/","error":"string field contains invalid UTF-8"}` + "\n" +
		`{"peerSocketAddress":"a"}` + "\n"
	if out.String() != want {
		t.Errorf("it prints\n%s, want\n%s", &out, want)
	}
}

func TestAnEventIDThatCannotBeSentIsRefused(t *testing.T) {
	c, dialed, _ := new(store).command("")
	_, _, err := runAll(t, c, nil, "--event-id", "é")
	if want := `put-all: --event-id: the event id "é" has a character that is not printable ASCII`; err == nil || !strings.HasPrefix(err.Error(), want) || *dialed > 0 {
		t.Errorf("error %v, %d connections", err, *dialed)
	}
}

func TestABatchOfAnotherKindIsABug(t *testing.T) {
	for _, field := range []string{"nothing", "payload", "response_type"} {
		c, _, _ := new(store).command(field)
		if _, err := run(t.Context(), []Command{c}, "put-all"); err == nil || !strings.Contains(err.Error(), "the program has a bug") {
			t.Errorf("%s: %v", field, err)
		}
	}
}
