package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

func TestDialReportsWhyNothingAnswers(t *testing.T) {
	for name, options := range map[string][]Option{
		"plainly":                {},
		"with TLS":               {TLS(&tls.Config{})},
		"with calls that wait":   {With(grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))},
		"with another's retries": {With(grpc.WithDisableRetry())},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, target := soon(t), nothing(t)
			_, err := Dial(ctx, target, nil, options...)
			oneLine(t, err, "no server at "+target, "connection refused")
			if ctx.Err() != nil {
				t.Error("it waited until the context ended")
			}
		})
	}
}

func TestAnInvalidTargetIsReportedInOneLine(t *testing.T) {
	for target, want := range map[string]string{
		"":                  "missing address",
		"dns:///%zz":        `"dns:///%zz" is not a target that gRPC can dial`,
		"localhost:no-port": "no server at localhost:no-port",
		"unix:/no/socket":   "no server at unix:/no/socket",
	} {
		ctx := soon(t)
		_, err := Dial(ctx, target, nil)
		oneLine(t, err, want)
		if ctx.Err() != nil {
			t.Errorf("%q waited until the context ended", target)
		}
	}
}

func TestAServerThatNeverAcceptsTakesNoLongerThanTheContext(t *testing.T) {
	target := listen(t).Addr().String() // never accepts
	for name, begin := range map[string]func() (context.Context, context.CancelFunc){
		"deadline": func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), 100*time.Millisecond)
		},
		"cancellation": func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(100*time.Millisecond, cancel)
			return ctx, cancel
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := begin()
			defer cancel()
			started := time.Now()
			_, err := Dial(ctx, target, nil)
			oneLine(t, err, "no answer from "+target, ctx.Err().Error())
			if !errors.Is(err, ctx.Err()) {
				t.Errorf("%v isn't %v", err, ctx.Err())
			}
			if took := time.Since(started); took > testTimeout {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestAnInterceptorThatFailsWhereNothingListensEndsDial(t *testing.T) {
	failing := func(context.Context, string, any, any, *grpc.ClientConn, grpc.UnaryInvoker, ...grpc.CallOption) error {
		return status.Error(codes.Unauthenticated, "no token")
	}
	_, err := Dial(soon(t), nothing(t), nil, With(grpc.WithChainUnaryInterceptor(failing)))
	oneLine(t, err, "no token")
}

func TestAnInterceptorThatAnswersItselfDoesNotMakeDialSpin(t *testing.T) {
	var mu sync.Mutex
	calls := 0
	answering := func(context.Context, string, any, any, *grpc.ClientConn, grpc.UnaryInvoker, ...grpc.CallOption) error {
		mu.Lock()
		defer mu.Unlock()
		calls++
		return nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := Dial(ctx, nothing(t), nil, With(grpc.WithChainUnaryInterceptor(answering)))
	oneLine(t, err, "deadline exceeded")
	mu.Lock()
	defer mu.Unlock()
	if calls > 10 {
		t.Errorf("%d calls in 100 ms", calls)
	}
}

func TestAServerOnThisMachineIsFoundWithoutDNS(t *testing.T) {
	resolver := net.DefaultResolver
	defer func() { net.DefaultResolver = resolver }()
	var mu sync.Mutex
	asked := 0
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		return nil, errors.New("there is no DNS")
	}}
	_, port, _ := net.SplitHostPort(serve(t, service{}))
	conn, err := Dial(soon(t), "localhost:"+port, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	mu.Lock()
	defer mu.Unlock()
	if asked > 0 {
		t.Errorf("DNS was asked %d times", asked)
	}
}

// tries records the event ids of the calls that a service gets, and answers
// the first of them with a code.
type tries struct {
	code  codes.Code
	fails int // how many calls get the code

	pushback string // goes with the code unless it is empty

	mu  sync.Mutex
	ids []string
}

func (t *tries) answer(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ids = append(t.ids, eventid.Of(ctx, ""))
	if len(t.ids) <= t.fails {
		if t.pushback != "" {
			grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", t.pushback))
		}
		return status.Error(t.code, "not now")
	}
	return nil
}

// seen returns the ids of the tries so far.
func (t *tries) seen() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.ids)
}

// events is a service with one method that may be retried.
var events = []Service{{Name: "grpc.testing.TestService", Methods: []Method{{Name: "UnaryCall", Retry: true}, {Name: "EmptyCall"}}}}

func TestACallIsRetriedWhereThatDoesNoHarm(t *testing.T) {
	for name, test := range map[string]struct {
		tries    *tries
		services []Service
		retry    bool // of the method called
		code     codes.Code
		want     int // tries
	}{
		"a call that succeeds":              {tries: &tries{}, services: events, retry: true, code: codes.OK, want: 1},
		"one failure":                       {tries: &tries{code: codes.Unavailable, fails: 1}, services: events, retry: true, code: codes.OK, want: 2},
		"more failures than gRPC bears":     {tries: &tries{code: codes.Unavailable, fails: 6, pushback: "1"}, services: events, retry: true, code: codes.OK, want: 7},
		"a server that wants no other try":  {tries: &tries{code: codes.Unavailable, fails: 9, pushback: "-1"}, services: events, retry: true, code: codes.Unavailable, want: 1},
		"one that says nothing clear":       {tries: &tries{code: codes.Unavailable, fails: 9, pushback: "later"}, services: events, retry: true, code: codes.Unavailable, want: 1},
		"one that wants them too late":      {tries: &tries{code: codes.Unavailable, fails: 9, pushback: "60000"}, services: events, retry: true, code: codes.Unavailable, want: 1},
		"a method that isn't tried again":   {tries: &tries{code: codes.Unavailable, fails: 1}, services: events, code: codes.Unavailable, want: 1},
		"a service the client doesn't know": {tries: &tries{code: codes.Unavailable, fails: 1}, retry: true, code: codes.Unavailable, want: 1},
		"Internal":                          {tries: &tries{code: codes.Internal, fails: 1}, services: events, retry: true, code: codes.Internal, want: 1},
		"AlreadyExists":                     {tries: &tries{code: codes.AlreadyExists, fails: 1}, services: events, retry: true, code: codes.AlreadyExists, want: 1},
		"too many calls, for a moment":      {tries: &tries{code: codes.ResourceExhausted, fails: 2, pushback: "1"}, services: events, retry: true, code: codes.OK, want: 3},
		"too many calls, until too late":    {tries: &tries{code: codes.ResourceExhausted, fails: 9, pushback: "60000"}, services: events, retry: true, code: codes.ResourceExhausted, want: 1},
		"too many calls, and no other try":  {tries: &tries{code: codes.ResourceExhausted, fails: 9, pushback: "-1"}, services: events, retry: true, code: codes.ResourceExhausted, want: 1},
		"too many of another method":        {tries: &tries{code: codes.ResourceExhausted, fails: 9, pushback: "1"}, services: events, code: codes.ResourceExhausted, want: 1},
		"a time with another code":          {tries: &tries{code: codes.Aborted, fails: 9, pushback: "1"}, services: events, retry: true, code: codes.Aborted, want: 1},
		"ResourceExhausted":                 {tries: &tries{code: codes.ResourceExhausted, fails: 1}, services: events, retry: true, code: codes.ResourceExhausted, want: 1},
		"DeadlineExceeded":                  {tries: &tries{code: codes.DeadlineExceeded, fails: 1}, services: events, retry: true, code: codes.DeadlineExceeded, want: 1},
		"Unknown":                           {tries: &tries{code: codes.Unknown, fails: 1}, services: events, retry: true, code: codes.Unknown, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := func(ctx context.Context) error { return test.tries.answer(ctx) }
			addr := serve(t, service{empty: answer, unary: func(ctx context.Context, _ *testpb.SimpleRequest) error { return answer(ctx) }})
			client := testpb.NewTestServiceClient(connected(t, addr, test.services))
			ctx := WithEventID(soon(t), "mine")
			var err error
			if test.retry {
				_, err = client.UnaryCall(ctx, &testpb.SimpleRequest{})
			} else {
				_, err = client.EmptyCall(ctx, &testpb.Empty{})
			}
			if status.Code(err) != test.code {
				t.Errorf("got %v, want %v", err, test.code)
			}
			if want := slices.Repeat([]string{"mine"}, test.want); !slices.Equal(test.tries.seen(), want) {
				t.Errorf("the tries had the ids %q, want %q", test.tries.seen(), want)
			}
		})
	}
}

func TestAnIDMadeForTheCallIsTheSameAtEachTry(t *testing.T) {
	tries := &tries{code: codes.Unavailable, fails: 1}
	addr := serve(t, service{unary: func(ctx context.Context, _ *testpb.SimpleRequest) error { return tries.answer(ctx) }})
	client := testpb.NewTestServiceClient(connected(t, addr, events))
	if _, err := client.UnaryCall(eventid.Ensure(soon(t)), &testpb.SimpleRequest{}); err != nil {
		t.Fatal(err)
	}
	if ids := tries.seen(); len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("the tries had the ids %q, want twice the same", ids)
	}
}

func TestALargeRequestIsRetriedToo(t *testing.T) {
	tries := &tries{code: codes.Unavailable, fails: 1}
	addr := serve(t, service{unary: func(ctx context.Context, request *testpb.SimpleRequest) error {
		if len(request.Payload.Body) != 3<<20 {
			t.Errorf("got %d bytes", len(request.Payload.Body))
		}
		return tries.answer(ctx)
	}})
	client := testpb.NewTestServiceClient(connected(t, addr, events))
	if _, err := client.UnaryCall(soon(t), &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, 3<<20)}}); err != nil {
		t.Error(err)
	}
}

// roundRobin is a service config of the caller's own.
const roundRobin = `{"loadBalancingConfig": [{"round_robin": {}}]}`

func TestACallersServiceConfigLeavesTheRetries(t *testing.T) {
	tries := &tries{code: codes.Unavailable, fails: 1}
	addr := serve(t, service{unary: func(ctx context.Context, _ *testpb.SimpleRequest) error { return tries.answer(ctx) }})
	client := testpb.NewTestServiceClient(connected(t, addr, events, With(grpc.WithDefaultServiceConfig(roundRobin))))
	if _, err := client.UnaryCall(soon(t), &testpb.SimpleRequest{}); err != nil {
		t.Error(err)
	}
}

// TestACallOutlastsAnOutage: the server goes away after the connection is made, and
// comes back while the call is tried again.
func TestACallOutlastsAnOutage(t *testing.T) {
	listener := listen(t)
	addr := listener.Addr().String()
	first := grpc.NewServer()
	testpb.RegisterTestServiceServer(first, greeting)
	go first.Serve(listener)
	conn := connected(t, addr, events)
	first.Stop()
	tried := make(chan struct{})
	result := make(chan error, 1)
	go func() {
		close(tried)
		_, err := testpb.NewTestServiceClient(conn).UnaryCall(soon(t), &testpb.SimpleRequest{})
		result <- err
	}()
	<-tried
	time.Sleep(1700 * time.Millisecond) // gRPC's own retries end before that
	again, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	second := grpc.NewServer()
	testpb.RegisterTestServiceServer(second, greeting)
	go second.Serve(again)
	t.Cleanup(second.Stop)
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// TestACallIsTriedOnceTheConnectionIsBack: and not only when its own wait is over, which
// would come on top of that of the connection.
func TestACallIsTriedOnceTheConnectionIsBack(t *testing.T) {
	t.Parallel()
	addr := serve(t, greeting)
	var away atomic.Bool
	dialer := func(ctx context.Context, addr string) (net.Conn, error) {
		if away.Load() {
			return nil, errors.New("away")
		}
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	conns := make(chan net.Conn, 1)
	conn := connected(t, addr, events, With(grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := dialer(ctx, addr)
		select {
		case conns <- conn:
		default:
		}
		return conn, err
	})))
	away.Store(true)
	(<-conns).Close()
	ctx := soon(t)
	for state := conn.GetState(); state != connectivity.TransientFailure; state = conn.GetState() {
		conn.Connect()
		if !conn.WaitForStateChange(ctx, state) {
			t.Fatal("the connection is not lost")
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		pause(ctx, conn, time.Hour)
	}()
	away.Store(false)
	select {
	case <-ended:
	case <-ctx.Done():
		t.Fatal("it waits although the connection is back")
	}
	if state := conn.GetState(); state != connectivity.Ready {
		t.Errorf("the connection is %s", state)
	}
}

// TestAConnectionIsTriedAgainSoon: eight attempts take four seconds, and with
// gRPC's own waits, of up to two minutes, 26.
func TestAConnectionIsTriedAgainSoon(t *testing.T) {
	t.Parallel()
	connections, attempts := make(chan net.Conn, 1), make(chan struct{}, 100)
	conn := connected(t, serve(t, greeting), events, With(grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		select {
		case connections <- conn:
			return conn, err
		default: // all but the first fail
			conn.Close()
			attempts <- struct{}{}
			return nil, errors.New("away")
		}
	})))
	first := <-connections
	connections <- first
	first.Close()
	ctx := soon(t)
	go testpb.NewTestServiceClient(conn).UnaryCall(ctx, &testpb.SimpleRequest{})
	for attempt := range 8 {
		select {
		case <-attempts:
		case <-ctx.Done():
			t.Fatalf("%d attempts in %v, want 8", attempt, testTimeout)
		}
	}
}

func TestTheWaitBetweenTries(t *testing.T) {
	// In a bubble no time passes meanwhile.
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			tries       int
			left        time.Duration
			least, most time.Duration // 0 for no other try
		}{
			{1, time.Minute, 80 * time.Millisecond, 120 * time.Millisecond},
			{2, time.Minute, 160 * time.Millisecond, 240 * time.Millisecond},
			{5, time.Minute, 1280 * time.Millisecond, 1920 * time.Millisecond},
			{6, time.Minute, 1600 * time.Millisecond, 2400 * time.Millisecond},
			{1 << 40, time.Minute, 1600 * time.Millisecond, 2400 * time.Millisecond},
			{1 << 40, time.Second, 500 * time.Millisecond, 500 * time.Millisecond}, // half of what is left
			{1 << 40, 90 * time.Millisecond, 0, 0},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), test.left)
			waits := map[time.Duration]bool{}
			for range 100 {
				wait, ok := waitBefore(ctx, test.tries, nil)
				if ok != (test.most > 0) || ok && (wait < test.least || wait > test.most) {
					t.Errorf("after %d tries with %v left it waits %v, %v, want %v to %v", test.tries, test.left, wait, ok, test.least, test.most)
				}
				waits[wait] = true
			}
			if len(waits) < 2 && test.most > test.least {
				t.Errorf("after %d tries all clients wait %v", test.tries, waits)
			}
			cancel()
		}
	})
}

func TestTheWaitThatTheServerAsksFor(t *testing.T) {
	// In a bubble no time passes meanwhile.
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			asked       []string
			left        time.Duration
			least, most time.Duration // 0 for no other try
		}{
			{[]string{"0"}, time.Minute, 0, 10 * time.Millisecond},
			{[]string{"1000"}, time.Minute, time.Second, 1210 * time.Millisecond},
			{[]string{"1000"}, 1200 * time.Millisecond, time.Second, 1100 * time.Millisecond},
			{[]string{"1000"}, 1040 * time.Millisecond, 0, 0},
			{[]string{"1000"}, time.Second / 2, 0, 0},
			{[]string{"1000", "1000"}, time.Minute, 0, 0},
			{[]string{"4294967296"}, time.Minute, 0, 0},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), test.left)
			waits := map[time.Duration]bool{}
			for range 100 {
				wait, ok := waitBefore(ctx, 1, metadata.MD{pushback: test.asked})
				if ok != (test.most > 0) || ok && (wait < test.least || wait > test.most) {
					t.Errorf("if %q is asked with %v left it waits %v, %v, want %v to %v", test.asked, test.left, wait, ok, test.least, test.most)
				}
				waits[wait] = true
			}
			if len(waits) < 2 && test.most > 0 {
				t.Errorf("if %q is asked all clients wait %v", test.asked, waits)
			}
			cancel()
		}
	})
}

// tooMany is the answer of a server that limits the rate of calls.
func tooMany(ctx context.Context, after time.Duration) error {
	grpc.SetTrailer(ctx, metadata.Pairs(pushback, fmt.Sprint(after.Milliseconds())))
	refused, _ := status.New(codes.ResourceExhausted, "too many calls").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
	return refused.Err()
}

// TestACallerSeesWhenToTryAgain: where the client does not do it, because there is too
// little time, because another try may do harm, or because streams are the caller's.
func TestACallerSeesWhenToTryAgain(t *testing.T) {
	calls := new(atomic.Int64)
	refuse := func(ctx context.Context) error { calls.Add(1); return tooMany(ctx, time.Hour) }
	s := alike(refuse)
	s.empty = refuse
	conn := connected(t, serve(t, s), events)
	unary, stream := unaryAndStream(soon(t), conn)
	_, other := testpb.NewTestServiceClient(conn).EmptyCall(soon(t), &testpb.Empty{})
	for name, err := range map[string]error{"unary": unary, "stream": stream, "other": other} {
		details := status.Convert(err).Details()
		if status.Code(err) != codes.ResourceExhausted || len(details) != 1 {
			t.Fatalf("%s: the error is %v with the details %v", name, err, details)
		}
		if info, ok := details[0].(*errdetails.RetryInfo); !ok || info.GetRetryDelay().AsDuration() != time.Hour {
			t.Errorf("%s: the details are %v", name, details)
		}
	}
	if n := calls.Load(); n != 3 {
		t.Errorf("%d calls were made, want 3", n)
	}
}

// TestAStreamIsNotOpenedAgain: what was sent on it can't be sent again. Its trailer has
// the time, for the caller.
func TestAStreamIsNotOpenedAgain(t *testing.T) {
	calls := new(atomic.Int64)
	conn := connected(t, serve(t, service{watch: func(ctx context.Context) error { calls.Add(1); return tooMany(ctx, 0) }}),
		[]Service{{Name: "grpc.testing.TestService", Methods: []Method{{Name: "StreamingOutputCall", Retry: true}}}})
	stream, err := testpb.NewTestServiceClient(conn).StreamingOutputCall(soon(t), &testpb.StreamingOutputCallRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("the error is %v", err)
	}
	if got := stream.Trailer().Get(pushback); !slices.Equal(got, []string{"0"}) || calls.Load() != 1 {
		t.Errorf("the trailer has %q, after %d calls", got, calls.Load())
	}
}

// retryingConfig is a service config with a policy of gRPC's own retries.
const retryingConfig = `{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 3, "initialBackoff": "0.01s",
	"maxBackoff": "0.01s", "backoffMultiplier": 1, "retryableStatusCodes": ["RESOURCE_EXHAUSTED"]}}]}`

// TestTheRetriesOfTheClientAndOfGRPCGetOnWithEachOther: gRPC's are inside of ours, and
// both obey the server.
func TestTheRetriesOfTheClientAndOfGRPCGetOnWithEachOther(t *testing.T) {
	for name, option := range map[string]grpc.DialOption{
		"a config without retries": grpc.WithDefaultServiceConfig(roundRobin),
		"a config with retries":    grpc.WithDefaultServiceConfig(retryingConfig),
		"no retries of gRPC":       grpc.WithDisableRetry(),
	} {
		for pushback, want := range map[string]int{"1": 8, "-1": 1} {
			t.Run(name+", "+pushback, func(t *testing.T) {
				t.Parallel()
				tries := &tries{code: codes.ResourceExhausted, fails: 7, pushback: pushback}
				client := testpb.NewTestServiceClient(connected(t, serve(t, alike(tries.answer)), events, With(option)))
				_, err := client.UnaryCall(WithEventID(soon(t), "mine"), &testpb.SimpleRequest{})
				if (err == nil) != (want > 1) || !slices.Equal(tries.seen(), slices.Repeat([]string{"mine"}, want)) {
					t.Errorf("the tries had the ids %q, want %d; error %v", tries.seen(), want, err)
				}
			})
		}
	}
}

// TestTheLastAnswerIsKept: the error of a call that was tried until its deadline
// shows what the server answered.
func TestTheLastAnswerIsKept(t *testing.T) {
	var calls atomic.Int64
	addr := serve(t, service{unary: func(ctx context.Context, _ *testpb.SimpleRequest) error {
		if calls.Add(1) == 1 {
			return status.Error(codes.Unavailable, "the disk is away")
		}
		<-ctx.Done()
		return ctx.Err()
	}})
	client := testpb.NewTestServiceClient(connected(t, addr, events))
	var err error
	for timeout := time.Second; calls.Load() < 2 && timeout < time.Minute; timeout *= 2 { // a busy machine may be late
		calls.Store(0)
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		_, err = client.UnaryCall(ctx, &testpb.SimpleRequest{})
		cancel()
	}
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("the code is %v, want DeadlineExceeded", status.Code(err))
	}
	oneLine(t, err, "the last answer of 2 tries: Unavailable: the disk is away")
	if answer, ok := LastAnswer(fmt.Errorf("calling: %w", err)); !ok || answer.Code() != codes.Unavailable || answer.Message() != "the disk is away" {
		t.Errorf("the last answer is %v, %v", answer, ok)
	}
	if answer, ok := LastAnswer(status.Error(codes.Unavailable, "one try")); ok {
		t.Errorf("an error without another try has the answer %v", answer)
	}
}

// TestAnIDThatMetadataCannotCarryIsRefused: before anything is sent, with the
// reason.
func TestAnIDThatMetadataCannotCarryIsRefused(t *testing.T) {
	called := func(context.Context) error { t.Error("it is sent"); return nil }
	addr := serve(t, service{empty: called, unary: func(ctx context.Context, _ *testpb.SimpleRequest) error { return called(ctx) }})
	client := testpb.NewTestServiceClient(connected(t, addr, events))
	for id, want := range map[string]string{
		"é":   `the event id "é" has a character that is not printable ASCII`,
		"a\n": `the event id "a\n" has a character that is not printable ASCII`,
	} {
		ctx := WithEventID(soon(t), id)
		_, unary := client.UnaryCall(ctx, &testpb.SimpleRequest{})
		_, stream := client.FullDuplexCall(ctx)
		for _, err := range []error{unary, stream} {
			oneLine(t, err, want)
			if status.Code(err) != codes.InvalidArgument {
				t.Errorf("the code is %v, want InvalidArgument", status.Code(err))
			}
		}
	}
}

func TestALargeReplyIsReceived(t *testing.T) {
	addr := serve(t, large{})
	if _, err := testpb.NewTestServiceClient(connected(t, addr, nil)).UnaryCall(soon(t), &testpb.SimpleRequest{}); err != nil {
		t.Error(err)
	}
	bounded := connected(t, addr, nil, With(grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1000))))
	if _, err := testpb.NewTestServiceClient(bounded).UnaryCall(soon(t), &testpb.SimpleRequest{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("with a bound of the caller: %v, want ResourceExhausted", err)
	}
}

// large answers with more than gRPC receives by default.
type large struct {
	testpb.UnimplementedTestServiceServer
}

func (large) UnaryCall(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: make([]byte, 5<<20)}}, nil
}

func TestTriesEndWithTheDeadline(t *testing.T) {
	tries := &tries{code: codes.Unavailable, fails: 1 << 20}
	addr := serve(t, service{unary: func(ctx context.Context, _ *testpb.SimpleRequest) error { return tries.answer(ctx) }})
	client := testpb.NewTestServiceClient(connected(t, addr, events))
	until := time.Now().Add(testTimeout)
	for call := 1; len(tries.seen()) == 0 && time.Now().Before(until); call++ { // a busy machine may be late
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // less than the first pause
		if _, err := client.UnaryCall(WithEventID(ctx, fmt.Sprint(call)), &testpb.SimpleRequest{}); err == nil {
			t.Error("it succeeds")
		}
		cancel()
	}
	seen := tries.seen() // also of calls that arrived late
	slices.Sort(seen)
	if len(seen) == 0 || len(slices.Compact(slices.Clone(seen))) != len(seen) {
		t.Errorf("tries of the calls %q, want one of each", seen)
	}
}

func TestACallWithoutADeadlineGetsOne(t *testing.T) {
	left := make(chan time.Duration, 1)
	addr := serve(t, service{unary: func(ctx context.Context, _ *testpb.SimpleRequest) error {
		deadline, _ := ctx.Deadline() // without one it is long past
		left <- time.Until(deadline)
		return nil
	}})
	client := testpb.NewTestServiceClient(connected(t, addr, nil))
	for _, test := range []struct{ own, least, most time.Duration }{
		{own: 0, least: DefaultTimeout / 2, most: DefaultTimeout},
		{own: time.Hour, least: time.Hour / 2, most: time.Hour},
		{own: DefaultTimeout / 3, least: time.Second, most: DefaultTimeout / 3},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if test.own > 0 {
			ctx, cancel = context.WithTimeout(t.Context(), test.own)
		}
		if _, err := client.UnaryCall(ctx, &testpb.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
		cancel()
		if got := <-left; got < test.least || got > test.most+time.Second {
			t.Errorf("own timeout %v: the server sees %v, want %v to %v", test.own, got, test.least, test.most)
		}
	}
}
