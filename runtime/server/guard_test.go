package server

import (
	"context"
	"errors"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
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
	tested.Check = func(proto.Message) error { seen.add("the service checks"); return nil }
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
