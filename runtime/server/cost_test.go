package server

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/types/known/emptypb"
)

// arrivedStream is a stream whose request, an empty one, has arrived.
type arrivedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *arrivedStream) Context() context.Context { return s.ctx }

func (s *arrivedStream) RecvMsg(into any) error { return codec.Unmarshal(mem.BufferSlice{}, into) }

func (s *arrivedStream) SendMsg(any) error { return nil }

// TestAUnaryCallAllocatesLittle counts what the server allocates for a call beside
// gRPC, which takes 70: the call itself, and the function that receives its request. The
// request is the third.
func TestAUnaryCallAllocatesLittle(t *testing.T) {
	config := free()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	l := newLimits(config, newNotices(log, unobserved{}), t.Context())
	l.connections = listenWithin(l, nil)
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
	c := &connection{of: l.connections, address: &address{}, calls: map[uint32]*call{}}
	l.peers.Store(net.Addr(from), c)

	reply := &testpb.Empty{}
	desc := l.bound(Service{Desc: &grpc.ServiceDesc{ServiceName: "a.Service", Methods: []grpc.MethodDesc{{
		MethodName: "Call",
		Handler: func(_ any, ctx context.Context, receive func(any) error, within grpc.UnaryServerInterceptor) (any, error) {
			request := new(emptypb.Empty)
			if err := receive(request); err != nil {
				return nil, err
			}
			if within != nil {
				t.Error("there is something between the request and the method")
			}
			return reply, nil
		},
	}}}}, interceptor{log: log, draining: t.Context()}, nil, unobserved{}, false)
	answer := desc.Streams[0].Handler

	ctx := peer.NewContext(t.Context(), &peer.Peer{Addr: from})
	info := &tap.Info{FullMethodName: "/a.Service/Call"}
	stream, id := &arrivedStream{}, uint32(1)
	took := testing.AllocsPerRun(1000, func() {
		id += 2
		c.beginCall(id, false)
		within, err := l.letIn(ctx, info)
		if err != nil {
			t.Fatal(err)
		}
		c.callOf(id).arrived(make([]byte, messagePrefixLength), true)
		stream.ctx = within
		if err := answer(nil, stream); err != nil {
			t.Fatal(err)
		}
		c.answered(id, false, 0)
	})
	if took > 3 {
		t.Errorf("a call allocates %v times, want 3", took)
	}
	if len(c.calls) != 0 {
		t.Errorf("%d calls are left", len(c.calls))
	}
}

// TestMoreCallsThanWorkersAreAtWorkAtOnce makes calls that all wait for each other.
func TestMoreCallsThanWorkersAreAtWorkAtOnce(t *testing.T) {
	const calls = workers + 10
	var all sync.WaitGroup
	all.Add(calls)
	running := serve(t, free(), tested(&service{
		unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			all.Done()
			all.Wait()
			return &testpb.SimpleResponse{}, nil
		},
	}))
	client := testpb.NewTestServiceClient(dial(t, running.Addr()))
	var group sync.WaitGroup
	for range calls {
		group.Go(func() {
			if _, err := client.UnaryCall(soon(t), &testpb.SimpleRequest{}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}
