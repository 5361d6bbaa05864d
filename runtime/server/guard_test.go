package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// guard is a guard that notes what it is asked.
func (s *steps) guard(name string) Guard {
	return Guard{
		Admit: func(ctx context.Context, call Call) (context.Context, error) {
			s.add(name + " admits " + call.Method)
			return context.WithValue(ctx, admitted(name), true), nil
		},
		Check: func(ctx context.Context, call Call, request any) error {
			if ctx.Value(admitted(name)) == nil {
				return errors.New("the context is not that which Admit returned")
			}
			s.add(name + " checks " + string(request.(proto.Message).ProtoReflect().Descriptor().Name()))
			return nil
		},
	}
}

type admitted string

func TestACallPassesGuardsInterceptorsAndChecksInTheirOrder(t *testing.T) {
	var seen steps
	tested := tested(&service{
		unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			seen.add("the method")
			return &testpb.SimpleResponse{}, nil
		},
		stream: func(stream testpb.TestService_FullDuplexCallServer) error {
			seen.add("the method")
			_, err := stream.Recv()
			return err
		},
	})
	tested.Rules = func() (func(proto.Message) error, error) {
		return func(proto.Message) error { seen.add("the service checks"); return nil }, nil
	}
	running := serve(t, free(), tested, UnaryInterceptors(seen.unary("user")), StreamInterceptors(seen.stream("user")),
		Guards(seen.guard("first"), seen.guard("second")))
	client := testpb.NewTestServiceClient(dial(t, running.Addr()))

	const unary, stream = " /grpc.testing.TestService/UnaryCall", " /grpc.testing.TestService/FullDuplexCall"
	if _, err := client.UnaryCall(soon(t), &testpb.SimpleRequest{}); err != nil {
		t.Fatal(err)
	}
	want := []string{"first admits" + unary, "second admits" + unary, "user" + unary,
		"first checks SimpleRequest", "second checks SimpleRequest", "the service checks", "the method", "user OK"}
	if got := seen.take(); !slices.Equal(got, want) {
		t.Errorf("the order is %q, want %q", got, want)
	}

	call, err := client.FullDuplexCall(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Send(&testpb.StreamingOutputCallRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := call.Recv(); err == nil {
		t.Fatal("the stream does not end")
	}
	want = []string{"first admits" + stream, "second admits" + stream, "user" + stream, "the method",
		"first checks StreamingOutputCallRequest", "second checks StreamingOutputCallRequest", "the service checks", "user OK"}
	if got := seen.take(); !slices.Equal(got, want) {
		t.Errorf("the order is %q, want %q", got, want)
	}
}

func TestAServiceWhoseRulesDoNotCompileIsNotServed(t *testing.T) {
	tested := tested(&service{})
	tested.Rules = func() (func(proto.Message) error, error) { return nil, errors.New("the rule is wrong") }
	_, err := Listen(free(), tested)
	if want := "service grpc.testing.TestService: the rule is wrong"; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

func TestAGuardRefusesACallBeforeItsRequestIsReceived(t *testing.T) {
	tested := tested(&service{})
	tested.RPCs = map[string]RPC{"UnaryCall": {Tails: true}}
	running := serve(t, free(), tested, Guards(Guard{Admit: func(ctx context.Context, call Call) (context.Context, error) {
		if call.Own {
			return ctx, nil
		}
		if tails := call.Method == "/grpc.testing.TestService/UnaryCall"; call.RPC.Tails != tails {
			t.Errorf("%s: Tails is %t", call.Method, call.RPC.Tails)
		}
		return nil, status.Error(codes.Unauthenticated, "no key")
	}}))
	for rpc, err := range callBoth(t, soon(t), dial(t, running.Addr())) {
		if status.Code(err) != codes.Unauthenticated || status.Convert(err).Message() != "no key" {
			t.Errorf("%s: error is %v, want the guard's", rpc, err)
		}
	}
	a := attack(t, running.Addr())
	a.open(t, 1, "/grpc.testing.TestService/UnaryCall", 1000)
	a.await(t, "a refusal", func() bool { return a.status[1] == "16" })
}

func TestAGuardRefusesARequest(t *testing.T) {
	reached := false
	tested := tested(&service{
		unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			reached = true
			return nil, nil
		},
		stream: func(stream testpb.TestService_FullDuplexCallServer) error {
			_, err := stream.Recv()
			return err
		},
	})
	refusal := status.Error(codes.PermissionDenied, "another's source")
	running := serve(t, free(), tested, Guards(Guard{Check: func(context.Context, Call, any) error { return refusal }}))
	client := testpb.NewTestServiceClient(dial(t, running.Addr()))
	if _, err := client.UnaryCall(soon(t), &testpb.SimpleRequest{}); status.Code(err) != codes.PermissionDenied || reached {
		t.Errorf("error is %v (the method was called: %t)", err, reached)
	}
	call, err := client.FullDuplexCall(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Send(&testpb.StreamingOutputCallRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := call.Recv(); status.Code(err) != codes.PermissionDenied {
		t.Errorf("error is %v", err)
	}
}

func TestAGuardThatPanicsEndsTheCallAlone(t *testing.T) {
	running := serve(t, free(), tested(&service{}), Guards(Guard{Admit: func(context.Context, Call) (context.Context, error) { panic("a bug") }}))
	for range 2 {
		for rpc, err := range callBoth(t, soon(t), dial(t, running.Addr())) {
			if status.Code(err) != codes.Internal {
				t.Errorf("%s: error is %v, want code Internal", rpc, err)
			}
		}
	}
}

func TestRefusalsAreLoggedOnceInAWhile(t *testing.T) {
	var text bytes.Buffer
	refusal := status.Error(codes.ResourceExhausted, "too many")
	running := serve(t, free(), tested(&service{}), Logger(slog.New(slog.NewTextHandler(&text, nil))),
		Guards(Guard{Check: func(context.Context, Call, any) error { return refusal }}),
		UnaryInterceptors(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			reply, err := next(ctx, request)
			if status.Convert(err).Message() != "too many" {
				t.Errorf("the user's interceptor gets %v", err)
			}
			return reply, err
		}))
	client := testpb.NewTestServiceClient(dial(t, running.Addr()))
	for range 5 {
		if _, err := client.UnaryCall(soon(t), &testpb.SimpleRequest{}); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("error is %v", err)
		}
	}
	running.stop()
	if err := running.end(t); err != nil {
		t.Error(err)
	}
	const want = `msg="calls were refused" code=ResourceExhausted last_method=/grpc.testing.TestService/UnaryCall last_error="too many" times=1 last_address=127.0.0.1`
	if log := text.String(); strings.Count(log, want) != 1 || strings.Count(log, "level=WARN") != 1 {
		t.Errorf("the server logged\n%swant one line about what was refused", log)
	}
}

// A method of the user's that is full itself pushes back in the same way.
func TestWhenToTryAgainIsSentAsGRPCsClientsReadIt(t *testing.T) {
	full, err := status.New(codes.Unavailable, "full").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(1500*time.Microsecond + 1)})
	if err != nil {
		t.Fatal(err)
	}
	running := serve(t, free(), tested(&service{
		unary:  func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) { return nil, full.Err() },
		stream: func(testpb.TestService_FullDuplexCallServer) error { return status.Error(codes.Unavailable, "away") },
	}))
	client := testpb.NewTestServiceClient(dial(t, running.Addr()))
	var trailer metadata.MD
	if _, err := client.UnaryCall(soon(t), &testpb.SimpleRequest{}, grpc.Trailer(&trailer)); status.Code(err) != codes.Unavailable {
		t.Fatal(err)
	}
	if got := trailer.Get("grpc-retry-pushback-ms"); !slices.Equal(got, []string{"2"}) {
		t.Errorf("the trailer is %v, want 2", got)
	}
	stream, err := client.FullDuplexCall(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err == nil || len(stream.Trailer().Get("grpc-retry-pushback-ms")) > 0 {
		t.Errorf("error is %v with trailers %v, want none", err, stream.Trailer())
	}
}

func TestAGuardEndsAStream(t *testing.T) {
	var end context.CancelCauseFunc
	running := serve(t, free(), tested(&service{tail: func(stream testpb.TestService_StreamingOutputCallServer) error {
		end(status.Error(codes.Unauthenticated, "no longer"))
		<-stream.Context().Done()
		return nil
	}}), Guards(Guard{Admit: func(ctx context.Context, call Call) (context.Context, error) {
		if !call.Streams {
			t.Errorf("%s does not stream", call.Method)
		}
		ctx, end = context.WithCancelCause(ctx)
		return ctx, nil
	}}))
	stream, err := testpb.NewTestServiceClient(dial(t, running.Addr())).StreamingOutputCall(soon(t), &testpb.StreamingOutputCallRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unauthenticated || status.Convert(err).Message() != "no longer" {
		t.Errorf("the stream ends with %v", err)
	}
}

func TestSourcesOfRequests(t *testing.T) {
	size := func(r *testpb.ResponseParameters) string { return strconv.Itoa(int(r.GetSize())) }
	one := TakesEvent(size)
	many := TakesEvents((*testpb.StreamingOutputCallRequest).GetResponseParameters, size)
	for _, test := range []struct {
		rpc     RPC
		request any
		want    []string
	}{
		{one, &testpb.ResponseParameters{Size: 1}, []string{"1"}},
		{one, (*testpb.ResponseParameters)(nil), []string{"0"}},
		{many, &testpb.StreamingOutputCallRequest{ResponseParameters: []*testpb.ResponseParameters{{Size: 1}, nil, {Size: 2}}}, []string{"1", "0", "2"}},
		{many, &testpb.StreamingOutputCallRequest{}, nil},
	} {
		var got []string
		if err := test.rpc.Sources(test.request, func(source string) error { got = append(got, source); return nil }); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("sources of %v are %q (%v), want %q", test.request, got, err, test.want)
		}
	}
	stop, seen := errors.New("stop"), 0
	err := many.Sources(&testpb.StreamingOutputCallRequest{ResponseParameters: make([]*testpb.ResponseParameters, 3)}, func(string) error { seen++; return stop })
	if err != stop || seen != 1 {
		t.Errorf("after an error %d sources were seen (%v)", seen, err)
	}
}

// An interceptor that is lost may be the one that keeps callers out.
func TestGuardOptionsLoseNoOption(t *testing.T) {
	for want, option := range map[string]Option{
		"interceptors":    UnaryInterceptors(new(steps).unary("user")),
		"interceptors:":   StreamInterceptors(new(steps).stream("user")),
		"options of gRPC": GRPCOptions(grpc.MaxSendMsgSize(1)),
		"credentials":     Credentials(insecure.NewCredentials()),
		"what runs":       Alongside("task", func(context.Context) error { return nil }),
		"a keeper":        KeepRefused(noKeeper{}),
	} {
		_, err := GuardOptions(t.Context(), tested(&service{}), option)
		if err == nil || !strings.HasPrefix(err.Error(), "server.GuardOptions can't take "+want) {
			t.Errorf("%s: error is %v", want, err)
		}
	}
}

type noKeeper struct{ Keeper }

func TestAServerThatAnybodyMayCallWarns(t *testing.T) {
	knows := Guards(Guard{KnowsCallers: true})
	own := UnaryInterceptors(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		return next(ctx, request)
	})
	const plaintext = "API keys and tokens come in plaintext"
	const anyone = "anyone who reaches this address can call this server: give it API keys (--keys) or --tls-client-ca, " +
		"or check callers in an interceptor, or in a Guard that has KnowsCallers"
	for name, test := range map[string]struct {
		addr    string
		options []Option
		want    string
	}{
		"this machine":             {"127.0.0.1:0", nil, ""},
		"public":                   {"0.0.0.0:0", nil, anyone},
		"public, a guard of rates": {":0", []Option{Guards(Guard{})}, anyone},
		"public, an interceptor":   {":0", []Option{own}, ""},
		"public, keys":             {":0", []Option{knows}, plaintext},
		"this machine, keys":       {"localhost:0", []Option{knows}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var text bytes.Buffer
			config := free()
			config.Addr, config.Insecure = test.addr, true
			running := serve(t, config, append(test.options, tested(&service{}), Logger(slog.New(slog.NewTextHandler(&text, nil))))...)
			running.stop()
			if err := running.end(t); err != nil {
				t.Error(err)
			}
			if log := text.String(); strings.Count(log, "level=WARN") != min(1, len(test.want)) || !strings.Contains(log, test.want) {
				t.Errorf("the server logged\n%swant %q", log, test.want)
			}
		})
	}
}

func TestAllInvalidOptionsAreReportedAtOnce(t *testing.T) {
	_, err := Listen(free(), Options(Invalid(errors.New("one")), tested(&service{})), Invalid(errors.New("two")))
	if err == nil || err.Error() != "one\ntwo" {
		t.Errorf("error is %v", err)
	}
}
