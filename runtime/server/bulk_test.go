package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/bulk"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// lanes makes a server have lanes.
func lanes() Option { return (&Bulk{On: true}).Option() }

const unaryCall = "/grpc.testing.TestService/UnaryCall"

func encoded(m proto.Message) []byte {
	bytes, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return bytes
}

// saying returns an encoded request with a text.
func saying(text string) []byte {
	return encoded(&testpb.SimpleRequest{Payload: &testpb.Payload{Body: []byte(text)}})
}

// ask makes calls by a lane, and returns their answers in the order of the calls.
func ask(t *testing.T, lane *bulk.Lane, calls ...bulk.Call) []bulk.Answer {
	t.Helper()
	answers := make([]bulk.Answer, len(calls))
	var all sync.WaitGroup
	all.Add(len(calls))
	for i := range calls {
		calls[i].Done = func(a bulk.Answer) {
			answers[i] = a
			all.Done()
		}
	}
	if err := lane.Send(soon(t), calls...); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	return answers
}

func TestALaneAnswersEachCall(t *testing.T) {
	for _, on := range []bool{true, false} {
		t.Run(fmt.Sprint(on), func(t *testing.T) {
			running := serve(t, free(), tested(&service{unary: func(ctx context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				came := fmt.Sprint(string(request.Payload.Body), metadata.ValueFromIncomingContext(ctx, eventid.Key), metadata.ValueFromIncomingContext(ctx, "more"))
				return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: []byte(came)}}, nil
			}}), (&Bulk{On: on}).Option())
			lane := bulk.Open(dial(t, running.Addr()), unaryCall)
			calls := make([]bulk.Call, 1500)
			for i := range calls {
				calls[i] = bulk.Call{ID: fmt.Sprint("id ", i), Request: saying(fmt.Sprint("body ", i))}
				if i%3 == 0 {
					calls[i].Metadata = metadata.Pairs("more", fmt.Sprint("m", i))
				}
			}
			for i, answer := range ask(t, lane, calls...) {
				want := fmt.Sprintf("body %d[id %d] %v", i, i, calls[i].Metadata.Get("more"))
				var reply testpb.SimpleResponse
				if answer.Err != nil || proto.Unmarshal(answer.Reply, &reply) != nil || string(reply.Payload.Body) != want {
					t.Fatalf("call %d: %v, %q, want %q", i, answer.Err, answer.Reply, want)
				}
			}
			if lane.Bulk() != on {
				t.Errorf("the client takes the server for one with lanes: %v", lane.Bulk())
			}
			if err := lane.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestACallOfALaneEndsAsASingleOne makes the same call both ways, and compares what the
// client gets and what the server's hooks saw.
func TestACallOfALaneEndsAsASingleOne(t *testing.T) {
	type handler = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error)
	failing := func(err error) handler {
		return func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) { return nil, err }
	}
	saysWhat := func(what func(context.Context) any) handler {
		return func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return &testpb.SimpleResponse{Username: fmt.Sprint(what(ctx))}, nil
		}
	}
	detailed, err := status.New(codes.FailedPrecondition, "not now").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	refusing := func(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		return nil, status.Error(codes.PermissionDenied, "not "+info.FullMethod)
	}
	for name, test := range map[string]struct {
		handle  handler
		call    bulk.Call
		timeout time.Duration
		options []Option
		rules   func(proto.Message) error
		bytes   int // --max-message-bytes
		want    codes.Code
	}{
		"a reply":                    {},
		"an empty request":           {handle: saysWhat(func(context.Context) any { return "yes" })},
		"an error":                   {handle: failing(status.Error(codes.NotFound, "no such thing")), want: codes.NotFound},
		"an error with details":      {handle: failing(detailed.Err()), want: codes.FailedPrecondition},
		"an error without a code":    {handle: failing(errors.New("secret")), want: codes.Internal},
		"an error that is wrapped":   {handle: failing(fmt.Errorf("secret: %w", status.Error(codes.Aborted, "again"))), want: codes.Aborted},
		"an error that is not UTF-8": {handle: failing(status.Error(codes.NotFound, "no \xff")), want: codes.NotFound},
		"no reply":                   {handle: failing(nil)},
		"an invalid reply":           {handle: saysWhat(func(context.Context) any { return "\xff" }), want: codes.Internal},
		"a panic":                    {handle: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) { panic("secret") }, want: codes.Internal},
		"an undecodable request":     {call: bulk.Call{Request: []byte("\xff\xff")}, want: codes.InvalidArgument},
		"an invalid request":         {rules: func(proto.Message) error { return status.Error(codes.InvalidArgument, "no") }, want: codes.InvalidArgument},
		"a request that is too long": {call: bulk.Call{Request: saying(strings.Repeat("x", 70<<10))}, bytes: 64 << 10, want: codes.ResourceExhausted},
		"a long request":             {call: bulk.Call{Request: saying(strings.Repeat("x", 1<<20))}},
		"an interceptor":             {options: []Option{UnaryInterceptors(refusing)}, want: codes.PermissionDenied},
		"an interceptor that panics": {options: []Option{UnaryInterceptors(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) { panic("secret") })}, want: codes.Internal},
		"an interceptor that passes": {options: []Option{UnaryInterceptors(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			return next(metadata.NewIncomingContext(ctx, metadata.Pairs("by", "it")), request)
		})}, handle: saysWhat(func(ctx context.Context) any { return metadata.ValueFromIncomingContext(ctx, "by") })},
		"a guard that does not admit": {options: []Option{Guards(Guard{Admit: func(ctx context.Context, call Call) (context.Context, error) {
			if call.Streams { // the lane itself
				return ctx, nil
			}
			return nil, detailed.Err()
		}})}, want: codes.FailedPrecondition},
		"a guard that checks": {options: []Option{Guards(Guard{Check: func(_ context.Context, call Call, request any) error {
			return status.Errorf(codes.PermissionDenied, "not %v of %+v", request, call)
		}})}, want: codes.PermissionDenied},
		"metadata": {call: bulk.Call{ID: "an id", Metadata: metadata.MD{"more": {"1", "2"}, "some-bin": {"\x00\xff"}}}, handle: saysWhat(func(ctx context.Context) any {
			md, _ := metadata.FromIncomingContext(ctx)
			return fmt.Sprint(md["more"], len(md["some-bin"]), md[eventid.Key], md["user-agent"] != nil, md["content-type"])
		})},
		"an invalid id":       {call: bulk.Call{ID: " id"}, want: codes.InvalidArgument},
		"an id with any text": {call: bulk.Call{ID: "iđ"}, want: codes.InvalidArgument},
		"invalid metadata":    {call: bulk.Call{Metadata: metadata.MD{"more": {"a\nb"}}}, want: codes.InvalidArgument},
		"an id of a request":  {call: bulk.Call{Metadata: metadata.Pairs("x-request-id", "mine")}, handle: saysWhat(func(ctx context.Context) any { return RequestID(ctx) })},
		"what gRPC knows": {handle: saysWhat(func(ctx context.Context) any {
			method, _ := grpc.Method(ctx)
			from, ok := peer.FromContext(ctx)
			_, deadline := ctx.Deadline()
			return fmt.Sprint(method, ok && from.Addr != nil, deadline, ctx.Err())
		})},
		"headers and trailers": {handle: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return &testpb.SimpleResponse{}, errors.Join(
				grpc.SetHeader(ctx, metadata.Pairs("one", "1")), grpc.SendHeader(ctx, metadata.Pairs("two", "2", "bytes-bin", "\x00")),
				grpc.SetTrailer(ctx, metadata.Pairs("three", "3")), grpc.SetTrailer(ctx, metadata.Pairs("three", "4")))
		}},
		"a header that is late": {handle: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			_ = grpc.SendHeader(ctx, nil)
			return &testpb.SimpleResponse{Username: fmt.Sprint(grpc.SetHeader(ctx, metadata.Pairs("one", "1")) != nil, grpc.SendHeader(ctx, nil) != nil)}, nil
		}},
		"a deadline": {timeout: 50 * time.Millisecond, handle: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, want: codes.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			var answers, seen []string
			for _, on := range []bool{true, false} {
				var mu sync.Mutex
				saw := []string{}
				note := func(format string, args ...any) {
					mu.Lock()
					defer mu.Unlock()
					saw = append(saw, fmt.Sprintf(format, args...))
				}
				config := free()
				config.MaxMessageBytes = cmp.Or(test.bytes, config.MaxMessageBytes)
				tested := tested(&service{unary: test.handle})
				tested.RPCs = map[string]RPC{"UnaryCall": {Sources: func(any, func(string) error) error { return nil }}}
				if test.rules != nil {
					tested.Rules = func() (func(proto.Message) error, error) { return test.rules, nil }
				}
				options := append([]Option{tested, (&Bulk{On: on}).Option(), KeepRefused(keeping(func(r Refused) { note("kept %s %x %v", r.Method, r.Request, r.Err) })),
					Observers(Observer{RPC: func(call Call) RPCObserver {
						return RPCObserver{
							Begin: func(ctx context.Context) context.Context { note("begin %s", call.Method); return ctx },
							End:   func(_ context.Context, code codes.Code, _ time.Duration) { note("end %s %s", call.Method, code) },
						}
					}, Refused: func(why string) {
						if why != UnknownRPC { // without a lane
							note("refused: %s", why)
						}
					}, Limit: func(limit string) { note("limit %s", limit) }})}, test.options...)
				running := serve(t, config, options...)
				lane := bulk.Open(dial(t, running.Addr()), unaryCall, bulk.Timeout(cmp.Or(test.timeout, testTimeout)))
				answer := ask(t, lane, test.call)[0]
				if err := lane.Close(); err != nil {
					t.Error(err)
				}
				if status.Code(answer.Err) != test.want {
					t.Errorf("with lanes %v: %v, want %s", on, answer.Err, test.want)
				}
				delete(answer.Trailer, "x-request-id")
				if test.want == codes.DeadlineExceeded { // in whose words, and what the server sees, depends on who is first
					answer = bulk.Answer{}
				}
				st := status.Convert(answer.Err)
				answers = append(answers, fmt.Sprintf("%x\nheader %s\ntrailer %s\n%s %q %v\n%s", answer.Reply, pairs(answer.Header), pairs(answer.Trailer), st.Code(), st.Message(), st.Proto().GetDetails(), answer.RetryAfter))
				running.stop()
				if err := running.end(t); err != nil {
					t.Error(err)
				}
				mu.Lock()
				if test.want == codes.DeadlineExceeded {
					saw = nil
				}
				seen = append(seen, strings.Join(saw, "\n"))
				mu.Unlock()
			}
			if answers[0] != answers[1] {
				t.Errorf("the lane's answer is\n%s\nand that of a single call\n%s", answers[0], answers[1])
			}
			if seen[0] != seen[1] {
				t.Errorf("of the lane the server's hooks saw\n%s\nand of a single call\n%s", seen[0], seen[1])
			}
		})
	}
}

func pairs(md metadata.MD) (text string) {
	for _, key := range slices.Sorted(maps.Keys(md)) {
		text += fmt.Sprintf("%s=%q ", key, md[key])
	}
	return text
}

// keeping is a keeper.
type keeping func(Refused)

func (k keeping) Keep(_ context.Context, refused Refused) { k(refused) }
func (keeping) Run(ctx context.Context, _ func(context.Context, string, []byte) error) error {
	<-ctx.Done()
	return nil
}

func TestNothingShowsLanesButTheirClients(t *testing.T) {
	running := serve(t, free(), tested(&service{}), lanes())
	for _, rpc := range running.PortRPCs() {
		if strings.HasSuffix(rpc.Method, bulk.Suffix) {
			t.Errorf("a port would serve %s", rpc.Method)
		}
	}
	stream, err := grpc_reflection_v1.NewServerReflectionClient(dial(t, running.Addr())).ServerReflectionInfo(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	request := &grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "grpc.testing.TestService"}}
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	if reply, err := stream.Recv(); err != nil || strings.Contains(reply.String(), bulk.Suffix) || !strings.Contains(reply.String(), "UnaryCall") {
		t.Errorf("reflection shows %v, %v", reply, err)
	}
}

// encodedCodec passes messages of lanes as they are.
type encodedCodec struct{}

func (encodedCodec) Name() string { return "proto" }

func (encodedCodec) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*message.(*[]byte))}, nil
}

func (encodedCodec) Unmarshal(data mem.BufferSlice, into any) error {
	*into.(*[]byte) = data.Materialize()
	return nil
}

// bareLane opens a lane without the client of package bulk.
func bareLane(t *testing.T, running *running, ctx context.Context) grpc.ClientStream {
	t.Helper()
	stream, err := dial(t, running.Addr()).NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, unaryCall+bulk.Suffix, grpc.ForceCodecV2(encodedCodec{}))
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestAMessageThatIsNotOneEndsItsLane(t *testing.T) {
	handled := atomic.Int64{}
	running := serve(t, free(), tested(&service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		handled.Add(1)
		return &testpb.SimpleResponse{}, nil
	}}), lanes())
	stream := bareLane(t, running, soon(t))
	message := append(bulk.AppendCall(nil, &bulk.CallFrame{Number: 1}), 0xff)
	if err := stream.SendMsg(&message); err != nil {
		t.Fatal(err)
	}
	var end error
	for end == nil {
		var answers []byte
		end = stream.RecvMsg(&answers)
	}
	if status.Code(end) != codes.InvalidArgument {
		t.Errorf("the lane ended with %v", end)
	}
	if handled.Load() != 1 {
		t.Errorf("%d calls were handled, want the one before what is wrong", handled.Load())
	}
}

func TestNumbersOfCallsAreTheirClientsAffair(t *testing.T) {
	stream := bareLane(t, serve(t, free(), tested(&service{}), lanes()), soon(t))
	message := []byte{}
	for range 3 {
		message = bulk.AppendCall(message, &bulk.CallFrame{Number: 1<<64 - 1, Request: saying("same")})
	}
	if err := errors.Join(stream.SendMsg(&message), stream.CloseSend()); err != nil {
		t.Fatal(err)
	}
	answered := 0
	for {
		var answers []byte
		if err := stream.RecvMsg(&answers); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if _, _, err := bulk.ReadAnswers(answers, func(a bulk.AnswerFrame) {
			if a.Number == 1<<64-1 && a.Status == nil {
				answered++
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if answered != 3 {
		t.Errorf("%d of 3 calls with one number were answered", answered)
	}
}

// held is a service whose calls wait until they are released.
type held struct {
	entered chan string   // receives what each request says
	release chan struct{} // lets one go on
}

func newHeld() held { return held{make(chan string, 10_000), make(chan struct{})} }

func (h held) service() Service {
	return tested(&service{unary: func(ctx context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		h.entered <- string(request.GetPayload().GetBody())
		select {
		case <-h.release:
			return &testpb.SimpleResponse{}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}})
}

func TestCallsOfALaneRunAtTheSameTime(t *testing.T) {
	h := newHeld()
	running := serve(t, free(), h.service(), lanes())
	lane := bulk.Open(dial(t, running.Addr()), unaryCall)
	var all sync.WaitGroup
	for i := range 1000 {
		all.Add(1)
		if err := lane.Send(soon(t), bulk.Call{Request: saying(fmt.Sprint(i)), Done: func(a bulk.Answer) {
			if a.Err != nil {
				t.Error(a.Err)
			}
			all.Done()
		}}); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		<-h.entered
	}
	close(h.release)
	all.Wait()
}

func TestALaneWaitsWhereThereMayBeNoMoreCalls(t *testing.T) {
	var now, most atomic.Int64
	config := free()
	config.MaxCalls = 16
	running := serve(t, config, tested(&service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		time.Sleep(time.Millisecond)
		return &testpb.SimpleResponse{}, nil
	}}), lanes())
	calls := make([]bulk.Call, 500)
	lane := bulk.Open(dial(t, running.Addr()), unaryCall)
	for _, answer := range ask(t, lane, calls...) {
		if answer.Err != nil {
			t.Fatal(answer.Err)
		}
	}
	if most.Load() > 16 || most.Load() < 2 {
		t.Errorf("%d calls were under way at once, of 16", most.Load())
	}
	eventually(t, "no call is counted but the lane", func() bool { return running.limits.calls.Load() == laneWeight })
	_ = lane.Close()
	eventually(t, "the lane is no longer counted", func() bool { return running.limits.calls.Load() == 0 })
}

func TestADrainAnswersTheCallsUnderWay(t *testing.T) {
	h := newHeld()
	running := serve(t, free(), h.service(), lanes())
	lane := bulk.Open(dial(t, running.Addr()), unaryCall)
	answers := make(chan bulk.Answer, 10)
	for range 5 {
		if err := lane.Send(soon(t), bulk.Call{Done: func(a bulk.Answer) { answers <- a }}); err != nil {
			t.Fatal(err)
		}
		<-h.entered
	}
	running.stop()
	waitUntilClosed(t, running.Addr())
	if err := lane.Send(soon(t), bulk.Call{Done: func(a bulk.Answer) { answers <- a }}); err != nil {
		t.Fatal(err)
	}
	if late := <-answers; status.Code(late.Err) != codes.Unavailable {
		t.Errorf("a call that came while the server drains: %v", late.Err)
	}
	close(h.release)
	for range 5 {
		if answer := <-answers; answer.Err != nil {
			t.Errorf("a call under way: %v", answer.Err)
		}
	}
	if err := running.end(t); err != nil {
		t.Error(err)
	}
	if err := lane.Close(); err != nil {
		t.Error(err)
	}
}

func TestCallsEndWithTheirLane(t *testing.T) {
	h := newHeld()
	running := serve(t, free(), h.service(), lanes())
	ctx, leave := context.WithCancel(soon(t))
	stream := bareLane(t, running, ctx)
	message := bulk.AppendCall(bulk.AppendCall(nil, &bulk.CallFrame{Number: 1}), &bulk.CallFrame{Number: 2})
	if err := stream.SendMsg(&message); err != nil {
		t.Fatal(err)
	}
	<-h.entered
	<-h.entered
	leave()
	eventually(t, "the calls end", func() bool { return running.limits.calls.Load() == 0 })
}

func TestALostLaneIsOpenedAgain(t *testing.T) {
	h := newHeld()
	running := serve(t, free(), h.service(), lanes())
	lane := bulk.Open(dial(t, running.Addr()), unaryCall)
	lost := make(chan bulk.Answer, 1)
	if err := lane.Send(soon(t), bulk.Call{Done: func(a bulk.Answer) { lost <- a }}); err != nil {
		t.Fatal(err)
	}
	<-h.entered
	for _, c := range running.limits.connections.all() {
		c.Close()
	}
	if answer := <-lost; status.Code(answer.Err) != codes.Unavailable || !answer.Sent {
		t.Errorf("a call whose connection was cut: %+v", answer)
	}
	close(h.release)
	eventually(t, "the lane works again", func() bool { return ask(t, lane, bulk.Call{})[0].Err == nil })
	_ = lane.Close()
}

func TestAGuardEndsALane(t *testing.T) {
	valid, revoke := context.WithCancel(context.Background())
	revoked := status.Error(codes.Unauthenticated, "no longer")
	var opened, calls atomic.Int64
	running := serve(t, free(), tested(&service{}), lanes(), Guards(Guard{Admit: func(ctx context.Context, call Call) (context.Context, error) {
		if call.Method != unaryCall {
			t.Errorf("the guard is asked about %s", call.Method)
		}
		if !call.Streams {
			calls.Add(1)
			return ctx, nil
		}
		opened.Add(1)
		if valid.Err() != nil {
			return ctx, revoked
		}
		within, cancel := context.WithCancelCause(ctx)
		context.AfterFunc(valid, func() { cancel(revoked) })
		return within, nil
	}}))
	stream := bareLane(t, running, soon(t))
	message := bulk.AppendCall(nil, &bulk.CallFrame{Number: 1})
	if err := stream.SendMsg(&message); err != nil {
		t.Fatal(err)
	}
	var answers []byte
	if err := stream.RecvMsg(&answers); err != nil {
		t.Fatal(err)
	}
	revoke()
	var end error
	for end == nil {
		end = stream.RecvMsg(&answers)
	}
	if status.Code(end) != codes.Unauthenticated {
		t.Errorf("the lane ended with %v", end)
	}
	lane := bulk.Open(dial(t, running.Addr()), unaryCall)
	if answer := ask(t, lane, bulk.Call{})[0]; status.Code(answer.Err) != codes.Unauthenticated || answer.Sent {
		t.Errorf("a call by a lane that is refused: %+v", answer)
	}
	if opened.Load() != 2 || calls.Load() != 1 {
		t.Errorf("the guard was asked about %d lanes and %d calls, want 2 and 1", opened.Load(), calls.Load())
	}
	_ = lane.Close()
}

func TestAClientThatNeverReadsHarmsNoOther(t *testing.T) {
	var handled atomic.Int64
	running := serve(t, free(), tested(&service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		handled.Add(1)
		return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: make([]byte, 8<<10)}}, nil
	}}), lanes())
	ctx, leave := context.WithCancel(soon(t))
	stream := bareLane(t, running, ctx)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		message := []byte{}
		for i := range 100 {
			message = bulk.AppendCall(message, &bulk.CallFrame{Number: uint64(i), Request: saying(strings.Repeat("x", 50))})
		}
		for stream.SendMsg(&message) == nil {
		}
	}()
	last := int64(-1)
	eventually(t, "the server handles no further ones", func() bool {
		time.Sleep(100 * time.Millisecond)
		before := last
		last = handled.Load()
		return last == before && last > 0
	})
	if last > 2*laneCalls {
		t.Errorf("%d calls were handled whose answers nobody reads", last)
	}
	lane := bulk.Open(dial(t, running.Addr()), unaryCall)
	for _, answer := range ask(t, lane, make([]bulk.Call, 200)...) {
		if answer.Err != nil {
			t.Fatal(answer.Err)
		}
	}
	_ = lane.Close()
	leave()
	<-sent
	eventually(t, "nothing is held", func() bool { return running.limits.calls.Load() == 0 && used(running.limits.tailMemory) == 0 })
}

func TestALaneOutlivesItsConnections(t *testing.T) {
	config := free()
	config.MaxConnectionAge, config.MaxConnectionAgeGrace = 300*time.Millisecond, 2*time.Second
	var from sync.Map
	running := serve(t, config, tested(&service{unary: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		p, _ := peer.FromContext(ctx)
		from.Store(p.Addr.String(), true)
		return &testpb.SimpleResponse{}, nil
	}}), lanes())
	lane := bulk.Open(dial(t, running.Addr()), unaryCall)
	connections := func() (n int) {
		from.Range(func(any, any) bool { n++; return true })
		return n
	}
	eventually(t, "calls have come on three connections", func() bool {
		for _, answer := range ask(t, lane, make([]bulk.Call, 50)...) {
			if answer.Err != nil {
				t.Fatal(answer.Err)
			}
		}
		return connections() >= 3
	})
	_ = lane.Close()
}

func TestALaneThatIsNotReadMakesRoom(t *testing.T) {
	config := free()
	config.MaxCalls = 128
	server, err := Listen(config, tested(&service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: make([]byte, 8<<10)}}, nil
	}}), lanes())
	if err != nil {
		t.Fatal(err)
	}
	server.limits.slowAfter = 50 * time.Millisecond
	ctx, stop := context.WithCancel(soon(t))
	defer stop()
	go func() { _ = server.Serve(ctx) }()
	stream := bareLane(t, &running{Server: server}, ctx)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		message := bulk.AppendCall(nil, &bulk.CallFrame{Number: 1})
		for stream.SendMsg(&message) == nil {
		}
	}()
	eventually(t, "as many calls are under way as one address may have", func() bool { return server.limits.calls.Load() >= 60 })
	lane := bulk.Open(dial(t, server.Addr()), unaryCall)
	eventually(t, "another client is served", func() bool {
		return !slices.ContainsFunc(ask(t, lane, make([]bulk.Call, 100)...), func(a bulk.Answer) bool { return a.Err != nil })
	})
	_ = lane.Close()
	<-gone
}

func TestALongMessageEndsItsLane(t *testing.T) {
	stream := bareLane(t, serve(t, free(), tested(&service{}), lanes()), soon(t))
	message := bulk.AppendCall(nil, &bulk.CallFrame{Number: 1, Request: make([]byte, bulk.MaxMessage)})
	if err := stream.SendMsg(&message); err != nil {
		t.Fatal(err)
	}
	var end error
	for end == nil {
		var answers []byte
		end = stream.RecvMsg(&answers)
	}
	if status.Code(end) != codes.ResourceExhausted {
		t.Errorf("the lane ended with %v", end)
	}
}

// A client that asks for a lane which is not there is no client of another proto.
func TestAServerOfShortRequestsHasNoLanes(t *testing.T) {
	config, refused := free(), newTally()
	config.MaxMessageBytes = bulk.MaxMessage - 1
	running := serve(t, config, tested(&service{}), lanes(), Observers(Observer{Refused: refused.add}))
	conn := dial(t, running.Addr())
	lane := bulk.Open(conn, unaryCall)
	if answer := ask(t, lane, bulk.Call{})[0]; answer.Err != nil || lane.Bulk() {
		t.Errorf("%v, by a lane: %v", answer.Err, lane.Bulk())
	}
	_ = lane.Close()
	if err := conn.Invoke(soon(t), "/grpc.testing.TestService/Other.bulk", &testpb.SimpleRequest{}, &testpb.SimpleResponse{}); status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}
	if got := refused.await(t, 1); !maps.Equal(got, map[string]int{UnknownRPC: 1}) {
		t.Errorf("it counts %v", got)
	}
}

func TestALaneIsLoggedHoweverItEnds(t *testing.T) {
	for _, abandons := range []bool{false, true} {
		log := &lockedBuffer{}
		running := serve(t, free(), tested(&service{}), lanes(), Logger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
		lane := bulk.Open(dial(t, running.Addr()), unaryCall)
		ask(t, lane, bulk.Call{})
		if lines := log.linesWith("a lane begins"); len(lines) != 1 {
			t.Errorf("at its begin it logs %q", lines)
		}
		if abandons {
			lane.Abandon()
		} else {
			check(t, lane.Close())
		}
		eventually(t, "its end is logged", func() bool { return len(log.linesWith("a lane ends\" method="+unaryCall+" calls=1")) == 1 })
	}
}

// BenchmarkLane measures the calls of a lane, of client and server together.
func BenchmarkLane(b *testing.B) {
	running, err := Listen(free(), tested(&service{}), lanes())
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { _ = running.Serve(ctx) }()
	conn, err := grpc.NewClient(running.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	lane := bulk.Open(conn, unaryCall)
	request := saying(strings.Repeat("x", 100))
	b.ReportAllocs()
	for b.Loop() {
		if err := lane.Send(ctx, bulk.Call{ID: "01a3c5d2-0000-7000-8000-0123456789ab", Request: request, Done: func(a bulk.Answer) {
			if a.Err != nil {
				b.Error(a.Err)
			}
		}}); err != nil {
			b.Fatal(err)
		}
	}
	if err := lane.Close(); err != nil {
		b.Error(err)
	}
}

func TestALaneThatHasNoRoomForACallSaysSo(t *testing.T) {
	h := newHeld()
	config := free()
	config.MaxCalls = 16
	running := serve(t, config, h.service(), lanes())
	lane := bulk.Open(dial(t, running.Addr()), unaryCall)
	_ = lane.Send(soon(t), bulk.Call{})
	<-h.entered // so that there is a lane
	h.release <- struct{}{}
	eventually(t, "only the lane is counted", func() bool { return running.limits.calls.Load() == laneWeight })
	other := dial(t, running.Addr())
	for i := 0; running.limits.calls.Load() < 8; i++ { // half of them, for one address
		go func() {
			_, _ = testpb.NewTestServiceClient(other).UnaryCall(soon(t), &testpb.SimpleRequest{})
		}()
		<-h.entered
	}
	if answer := ask(t, lane, bulk.Call{})[0]; status.Code(answer.Err) != codes.ResourceExhausted || answer.RetryAfter == 0 {
		t.Errorf("%+v", answer)
	}
	close(h.release)
	eventually(t, "there is room again", func() bool { return ask(t, lane, bulk.Call{})[0].Err == nil })
	_ = lane.Close()
}

func TestACallThatIsRefusedIsCountedAndHoldsNothing(t *testing.T) {
	running := serve(t, free(), tested(&service{}), lanes())
	of := &connection{of: running.limits.connections, address: &address{}}
	l := &lane{limits: running.limits, unary: running.limits.unaries[unaryCall], stream: &boundedStream{call: newCall(context.Background(), of, kind{})}, ctx: context.Background()}
	long := strings.Repeat("\xff", 10<<10)
	var message []byte
	for _, frame := range []bulk.CallFrame{{Metadata: metadata.MD{long: {""}}}, {ID: long}, {Metadata: metadata.MD{"authorization": {"mine"}}}} {
		frame.Request = make([]byte, 1<<10)
		message = bulk.AppendCall(message, &frame)
	}
	if err := l.begin(message); err != nil {
		t.Fatal(err)
	}
	for i, c := range l.read {
		if status.Code(c.refused) != codes.InvalidArgument || len(c.refused.Error()) > 1<<10 {
			t.Errorf("call %d: %.200v", i, c.refused)
		}
		if c.frame.Request != nil || c.frame.Metadata != nil || c.frame.ID != "" {
			t.Errorf("call %d holds what came with it", i)
		}
	}
	if n := running.limits.calls.Load(); n != 3 || len(l.read) != 3 {
		t.Errorf("%d of %d calls are counted, want 3 of 3", n, len(l.read))
	}
}

func TestACallDoesNotReplaceHeadersOfItsLane(t *testing.T) {
	running := serve(t, free(), tested(&service{}), lanes())
	stream := bareLane(t, running, metadata.AppendToOutgoingContext(soon(t), "x-user", "of the proxy"))
	message := bulk.AppendCall(nil, &bulk.CallFrame{Metadata: metadata.Pairs("x-user", "another")})
	var answers []byte
	if err := errors.Join(stream.SendMsg(&message), stream.RecvMsg(&answers)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := bulk.ReadAnswers(answers, func(a bulk.AnswerFrame) {
		if a.Status == nil {
			t.Error("the call was handled")
		}
	}); err != nil {
		t.Fatal(err)
	}
}

func TestIdleWorkersEnd(t *testing.T) {
	h := newHeld()
	running := serve(t, free(), h.service(), lanes())
	lane := bulk.Open(dial(t, running.Addr()), unaryCall)
	var all sync.WaitGroup
	for range 100 {
		all.Add(1)
		if err := lane.Send(soon(t), bulk.Call{Done: func(bulk.Answer) { all.Done() }}); err != nil {
			t.Fatal(err)
		}
		<-h.entered
	}
	close(h.release)
	all.Wait()
	eventually(t, "the lane has no idle workers", func() bool { return running.limits.idleWorkers.Load() == 0 })
	if answer := ask(t, lane, bulk.Call{})[0]; answer.Err != nil {
		t.Error(answer.Err)
	}
	_ = lane.Close()
}

func TestACallOfALaneThatFindsNoMemoryMayBeTriedAgain(t *testing.T) {
	for name, memory := range map[string]func(*limits) *memory{
		"a reply": func(l *limits) *memory { return l.tailMemory },
	} {
		t.Run(name, func(t *testing.T) {
			config := free()
			config.ReceiveTimeout = 100 * time.Millisecond
			running := serve(t, config, tested(&service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: make([]byte, 40<<10)}}, nil
			}}), lanes())
			lane := bulk.Open(dial(t, running.Addr()), unaryCall)
			request := saying(strings.Repeat("x", 40<<10))
			if answer := ask(t, lane, bulk.Call{Request: request})[0]; answer.Err != nil {
				t.Fatal(answer.Err)
			}
			eventually(t, "nothing is held", func() bool { return used(memory(running.limits)) == 0 })
			m := memory(running.limits)
			other := &connection{of: running.limits.connections, address: &address{}}
			got, ok := m.takeNow(other, m.size)
			if !ok {
				t.Fatal("the memory can't be taken")
			}
			answer := ask(t, lane, bulk.Call{Request: request})[0]
			m.give(other, got)
			if code := status.Code(answer.Err); code != codes.Unavailable && (code != codes.ResourceExhausted || answer.RetryAfter == 0) {
				t.Errorf("%+v", answer)
			}
			_ = lane.Close()
		})
	}
}
