package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

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
			if took := time.Since(started); took > 5*time.Second {
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

	mu  sync.Mutex
	ids []string
}

func (t *tries) answer(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ids = append(t.ids, eventid.Of(ctx, ""))
	if len(t.ids) <= t.fails {
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
		"as many failures as are borne":     {tries: &tries{code: codes.Unavailable, fails: 4}, services: events, retry: true, code: codes.OK, want: 5},
		"one failure more":                  {tries: &tries{code: codes.Unavailable, fails: 9}, services: events, retry: true, code: codes.Unavailable, want: 5},
		"a method that isn't tried again":   {tries: &tries{code: codes.Unavailable, fails: 1}, services: events, code: codes.Unavailable, want: 1},
		"a service the client doesn't know": {tries: &tries{code: codes.Unavailable, fails: 1}, retry: true, code: codes.Unavailable, want: 1},
		"Internal":                          {tries: &tries{code: codes.Internal, fails: 1}, services: events, retry: true, code: codes.Internal, want: 1},
		"AlreadyExists":                     {tries: &tries{code: codes.AlreadyExists, fails: 1}, services: events, retry: true, code: codes.AlreadyExists, want: 1},
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
