package server

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// ownServer serves on a grpc.Server of the user's. Once ctx has ended, stop stops it
// gracefully, and waits for that.
func ownServer(t *testing.T, ctx context.Context, register func(grpc.ServiceRegistrar), options ...grpc.ServerOption) (addr string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := grpc.NewServer(append(options, grpc.ChainStreamInterceptor(DrainStreams(ctx)))...)
	register(own)
	go own.Serve(listener)
	t.Cleanup(own.Stop)
	return listener.Addr().String(), func() {
		t.Helper()
		stopped := make(chan struct{})
		go func() {
			own.GracefulStop()
			close(stopped)
		}()
		select {
		case <-stopped:
		case <-time.After(testTimeout):
			t.Error("GracefulStop doesn't return")
		}
	}
}

func TestAServerOfTheUserWaitsForNoStreamThatNeverEnds(t *testing.T) {
	t.Parallel()
	ctx, drain := context.WithCancel(context.Background())
	defer drain()
	tailed := &service{tail: func(stream testpb.TestService_StreamingOutputCallServer) error {
		ctx, stop := UntilDrain(stream.Context())
		defer stop()
		if err := stream.Send(&testpb.StreamingOutputCallResponse{}); err != nil {
			return err
		}
		<-ctx.Done()
		return context.Cause(ctx)
	}}
	var seen steps
	addr, stop := ownServer(t, ctx, func(to grpc.ServiceRegistrar) {
		testpb.RegisterTestServiceServer(to, tailed)
		grpc_health_v1.RegisterHealthServer(to, health.NewServer())
	}, grpc.ChainStreamInterceptor(seen.stream("own")))
	conn := dial(t, addr)
	client := testpb.NewTestServiceClient(conn)

	idle, err := client.FullDuplexCall(soon(t))
	if err == nil {
		err = idle.Send(&testpb.StreamingOutputCallRequest{})
	}
	if err == nil {
		_, err = idle.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	upload, err := client.StreamingInputCall(soon(t))
	if err == nil {
		err = upload.Send(&testpb.StreamingInputCallRequest{})
	}
	if err != nil {
		t.Fatal(err)
	}
	tail, err := client.StreamingOutputCall(soon(t), &testpb.StreamingOutputCallRequest{})
	if err == nil {
		_, err = tail.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	watch, err := grpc_health_v1.NewHealthClient(conn).Watch(soon(t), &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = watch.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}

	drain()
	stop()
	_, ofIdle := idle.Recv()
	_, ofTail := tail.Recv()
	_, ofWatch := watch.Recv()
	for what, err := range map[string]error{"an idle stream": ofIdle, "an idle upload": upload.RecvMsg(&testpb.StreamingInputCallResponse{}), "a tail": ofTail, "a watch": ofWatch} {
		if status.Code(err) != codes.Unavailable || status.Convert(err).Message() != "the server is stopping" {
			t.Errorf("%s ends with %v, want code Unavailable", what, err)
		}
	}
	ends := 0
	for _, step := range seen.take() {
		if step == "own Unavailable" {
			ends++
		}
	}
	if ends != 4 {
		t.Errorf("the user's interceptor saw %d streams end with code Unavailable, want 4", ends)
	}
}

func TestAServerOfTheUserLetsStreamsFinish(t *testing.T) {
	t.Parallel()
	ctx, drain := context.WithCancel(context.Background())
	defer drain()
	received := make(chan struct{}, 1)
	addr, stop := ownServer(t, ctx, func(to grpc.ServiceRegistrar) {
		testpb.RegisterTestServiceServer(to, &service{stream: func(stream testpb.TestService_FullDuplexCallServer) error {
			for {
				request, err := stream.Recv()
				if err != nil {
					return err
				}
				received <- struct{}{}
				if err := stream.Send(&testpb.StreamingOutputCallResponse{Payload: request.Payload}); err != nil {
					return err
				}
			}
		}})
	})
	stream, err := testpb.NewTestServiceClient(dial(t, addr)).FullDuplexCall(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	// While a client sends, what it sends is handled, also after the drain has begun.
	for i := range 20 {
		if i == 5 {
			drain()
		}
		if err := stream.Send(&testpb.StreamingOutputCallRequest{}); err != nil {
			t.Fatal(err)
		}
		<-received
		if _, err := stream.Recv(); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	stop() // and then nothing comes any longer
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ends with %v, want code Unavailable", err)
	}
}

// endless is a stream on which messages come without an end.
type endless struct{ grpc.ServerStream }

func (endless) RecvMsg(any) error { return nil }

func TestAnUploadWithoutAnEndEndsBetweenTwoMessages(t *testing.T) {
	ctx, drain := context.WithCancel(t.Context())
	drain()
	stream := newInterruptible(endless{}, ctx, context.Background())
	defer stream.end()
	stream.ends = time.Now().Add(-time.Second)
	var err error
	for range 100 { // each may still take a message that is there
		err = errors.Join(err, stream.RecvMsg(nil))
	}
	if !errors.Is(err, errStopping) || !errors.Is(stream.RecvMsg(nil), errStopping) {
		t.Errorf("an upload beyond its time goes on: %v", err)
	}
}

// receivers notes which goroutines receive from a stream.
type receivers struct {
	grpc.ServerStream
	seen map[string]bool
}

func (r receivers) RecvMsg(any) error {
	stack := make([]byte, 64)
	name, _, _ := strings.Cut(string(stack[:runtime.Stack(stack, false)]), "[") // goroutine 17
	r.seen[name] = true
	return nil
}

// TestOneGoroutineReceivesAllMessages of a stream: to start one for each took longer than
// gRPC needs for a small message.
func TestOneGoroutineReceivesAllMessages(t *testing.T) {
	all := receivers{seen: map[string]bool{}}
	stream := newInterruptible(all, t.Context(), t.Context())
	defer stream.end()
	for range 10 {
		if err := stream.RecvMsg(nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(all.seen) != 1 {
		t.Errorf("%d goroutines received 10 messages, want 1", len(all.seen))
	}
}

// TestAGoroutineThatAHandlerLeftBehindMayReceive asks for a message when the handler has
// returned: gRPC answers that.
func TestAGoroutineThatAHandlerLeftBehindMayReceive(t *testing.T) {
	t.Parallel()
	left := make(chan error)
	addr, stop := ownServer(t, t.Context(), func(to grpc.ServiceRegistrar) {
		testpb.RegisterTestServiceServer(to, &service{stream: func(stream testpb.TestService_FullDuplexCallServer) error {
			_, err := stream.Recv()
			go func() {
				<-stream.Context().Done()
				_, err := stream.Recv()
				left <- err
			}()
			return err
		}})
	})
	stream, err := testpb.NewTestServiceClient(dial(t, addr)).FullDuplexCall(soon(t))
	if err == nil {
		err = stream.Send(&testpb.StreamingOutputCallRequest{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := <-left; status.Code(err) != codes.Canceled {
		t.Errorf("it gets %v, want code Canceled", err)
	}
	stop()
}

func TestTheHealthOfTheUserFollowsACheck(t *testing.T) {
	t.Parallel()
	own := health.NewServer()
	ctx, stop := context.WithCancel(t.Context())
	is := func(service string) grpc_health_v1.HealthCheckResponse_ServingStatus {
		reply, err := own.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		return reply.Status
	}
	checks, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		ReportHealth(ctx, own, "event log", func(ctx context.Context) error {
			select {
			case err := <-checks:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}, "shop.v1.Orders", "shop.v1.Returns")
	}()
	for _, one := range []struct {
		err  error
		want grpc_health_v1.HealthCheckResponse_ServingStatus
	}{
		{nil, grpc_health_v1.HealthCheckResponse_SERVING},
		{errors.New("the disk is full"), grpc_health_v1.HealthCheckResponse_NOT_SERVING},
		{nil, grpc_health_v1.HealthCheckResponse_SERVING},
	} {
		checks <- one.err
		for deadline := time.Now().Add(testTimeout); is("shop.v1.Orders") != one.want || is("shop.v1.Returns") != one.want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("with %v the status is %v, want %v", one.err, is("shop.v1.Orders"), one.want)
			}
		}
	}
	stop()
	<-ended
	if got := is("shop.v1.Orders"); got != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("at the end the status is %v", got)
	}
	if got := is(""); got != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("the status of a service that was not named is %v", got)
	}
}
