package servertest

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// handled is a service whose RPCs do what a test says.
type handled struct {
	testpb.UnimplementedTestServiceServer
	unary  func(context.Context) (*testpb.SimpleResponse, error)
	upload func(testpb.TestService_StreamingInputCallServer) error
	output func(testpb.TestService_StreamingOutputCallServer) error
	duplex func(testpb.TestService_FullDuplexCallServer) error
}

func (h *handled) UnaryCall(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return h.unary(ctx)
}

func (h *handled) StreamingInputCall(stream testpb.TestService_StreamingInputCallServer) error {
	return h.upload(stream)
}

func (h *handled) StreamingOutputCall(_ *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
	return h.output(stream)
}

func (h *handled) FullDuplexCall(stream testpb.TestService_FullDuplexCallServer) error {
	return h.duplex(stream)
}

func dial(t testing.TB, address string) testpb.TestServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return testpb.NewTestServiceClient(conn)
}

// recorded runs part of a test, and returns the errors of that part.
func recorded(t *testing.T, test func(testing.TB)) []string {
	t.Helper()
	r := &recorder{TB: t}
	t.Run("recorded", func(t *testing.T) { // for its cleanups
		r.TB = t
		test(r)
	})
	return r.errors
}

// upload begins an upload of one message, and returns the stream and what ends its caller.
func upload(t testing.TB, client testpb.TestServiceClient) (testpb.TestService_StreamingInputCallClient, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	stream, err := client.StreamingInputCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&testpb.StreamingInputCallRequest{}); err != nil {
		t.Fatal(err)
	}
	return stream, cancel
}

func TestHandlersAreWatched(t *testing.T) {
	short(t, &endTime, 300*time.Millisecond)
	forever := make(chan struct{})
	defer close(forever)
	received := make(chan struct{}, 10) // by an upload
	unary := func(handle func(context.Context) (*testpb.SimpleResponse, error)) *handled {
		return &handled{unary: handle}
	}
	stream := func(handle func(testpb.TestService_StreamingInputCallServer) error) *handled {
		return &handled{upload: func(stream testpb.TestService_StreamingInputCallServer) error {
			if _, err := stream.Recv(); err != nil {
				return err
			}
			received <- struct{}{}
			return handle(stream)
		}}
	}
	fine := &testpb.SimpleResponse{}
	begin := func(begin func(context.Context)) *handled {
		return unary(func(ctx context.Context) (*testpb.SimpleResponse, error) { begin(ctx); return fine, nil })
	}
	ask := func(times int) func(testing.TB, testpb.TestServiceClient) {
		return func(t testing.TB, client testpb.TestServiceClient) {
			for range times {
				_, _ = client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
			}
		}
	}
	leave := func(t testing.TB, client testpb.TestServiceClient) { // without the answer
		_, cancel := upload(t, client)
		<-received
		cancel()
	}
	for _, test := range []struct {
		name    string
		service *handled
		call    func(testing.TB, testpb.TestServiceClient)
		want    string // "" if nothing is wrong
	}{
		{"an answer", begin(func(context.Context) {}), ask(5), ""},
		{"no answer", unary(func(context.Context) (*testpb.SimpleResponse, error) { return nil, nil }), ask(2),
			"watch_test.go:30: UnaryCall returned neither a reply nor an error"},
		{"an error", unary(func(context.Context) (*testpb.SimpleResponse, error) { return nil, errors.New("no") }), ask(5), ""},
		{"a panic", unary(func(context.Context) (*testpb.SimpleResponse, error) { panic("at the handler") }), ask(5), ""},
		{"a goroutine for each call", begin(func(context.Context) { go func() { <-forever }() }), ask(5),
			"UnaryCall leaves goroutines behind: 5 of 5 calls left "},
		{"a goroutine for most calls", unary(func(context.Context) func(context.Context) (*testpb.SimpleResponse, error) {
			calls := 0
			return func(context.Context) (*testpb.SimpleResponse, error) {
				if calls++; calls%3 > 0 {
					go func() { <-forever }()
				}
				return fine, nil
			}
		}(t.Context())), ask(6), "4 of 6 calls left "},
		{"goroutines that end with the call", begin(func(ctx context.Context) { go func() { <-ctx.Done() }() }), ask(5), ""},
		{"a goroutine for all calls", func() *handled {
			var once sync.Once
			return begin(func(context.Context) {
				once.Do(func() {
					for range 5 {
						go func() { <-forever }()
					}
				})
			})
		}(), ask(5), ""},
		{"goroutines of a pool", func() *handled {
			var all sync.WaitGroup
			all.Add(5)
			return begin(func(context.Context) { go func() { <-forever }(); all.Done(); all.Wait() })
		}(), func(t testing.TB, client testpb.TestServiceClient) {
			var group sync.WaitGroup
			for range 5 {
				group.Go(func() { ask(1)(t, client) })
			}
			group.Wait()
		}, ""},
		{"a handler that does not end", stream(func(testpb.TestService_StreamingInputCallServer) error { <-forever; return nil }), leave,
			"StreamingInputCall still runs 300ms after its caller has gone"},
		{"a handler that ends", stream(func(stream testpb.TestService_StreamingInputCallServer) error {
			<-stream.Context().Done()
			return nil
		}), leave, ""},
		{"a broken stream that is returned", stream(func(stream testpb.TestService_StreamingInputCallServer) error {
			_, err := stream.Recv()
			return err
		}), leave, ""},
		{"a request that can't be read, and an answer", stream(func(stream testpb.TestService_StreamingInputCallServer) error {
			_, _ = stream.Recv()
			return stream.SendAndClose(&testpb.StreamingInputCallResponse{})
		}), func(t testing.TB, client testpb.TestServiceClient) {
			stream, _ := upload(t, client)
			if err := stream.Send(unreadable[*testpb.StreamingInputCallRequest]()); err != nil {
				t.Error(err)
			}
			_, _ = stream.CloseAndRecv()
			<-received
		}, "StreamingInputCall returned no error though Recv had failed with InvalidArgument"},
		{"a broken stream that is a success", stream(func(stream testpb.TestService_StreamingInputCallServer) error {
			_, _ = stream.Recv()
			return nil
		}), leave, "StreamingInputCall returned no error though Recv had failed with Canceled"},
		{"a stream that goes on", stream(func(stream testpb.TestService_StreamingInputCallServer) error {
			for range 20 {
				if _, err := stream.Recv(); err == nil {
					return nil
				}
			}
			return io.ErrUnexpectedEOF
		}), leave, "StreamingInputCall goes on receiving after Recv has failed"},
		{"a complete stream", stream(func(stream testpb.TestService_StreamingInputCallServer) error {
			for {
				if _, err := stream.Recv(); errors.Is(err, io.EOF) {
					return stream.SendAndClose(&testpb.StreamingInputCallResponse{})
				}
			}
		}), func(t testing.TB, client testpb.TestServiceClient) {
			stream, _ := upload(t, client)
			if _, err := stream.CloseAndRecv(); err != nil {
				t.Error(err)
			}
			<-received
		}, ""},
		{"an answer of nil", stream(func(stream testpb.TestService_StreamingInputCallServer) error { return stream.SendAndClose(nil) }),
			leave, "StreamingInputCall sends nil"},
	} {
		t.Run(test.name, func(t *testing.T) {
			errs := recorded(t, func(t testing.TB) {
				test.call(t, dial(t, Serve(t, server.Service{Desc: &testpb.TestService_ServiceDesc, Impl: test.service})))
			})
			if len(errs) != min(len(test.want), 1) || test.want != "" && !strings.Contains(errs[0], test.want) {
				t.Errorf("the errors are %q, want %q", errs, test.want)
			}
		})
	}
}

// TestAStreamEndsWhenTheServerStops although its caller is there.
func TestAStreamEndsWhenTheServerStops(t *testing.T) {
	short(t, &endTime, time.Second)
	for name, test := range map[string]struct {
		handle func(testpb.TestService_StreamingOutputCallServer) error
		want   string
	}{
		"drains": {func(stream testpb.TestService_StreamingOutputCallServer) error {
			ctx, stop := server.UntilDrain(stream.Context())
			defer stop()
			<-ctx.Done()
			return context.Cause(ctx)
		}, ""},
		"waits": {func(stream testpb.TestService_StreamingOutputCallServer) error {
			<-stream.Context().Done()
			return stream.Context().Err()
		}, "StreamingOutputCall still runs 1s after the server began to stop"},
	} {
		t.Run(name, func(t *testing.T) {
			begun := make(chan struct{})
			service := &handled{output: func(stream testpb.TestService_StreamingOutputCallServer) error {
				close(begun)
				return test.handle(stream)
			}}
			errs := recorded(t, func(t testing.TB) {
				of := &stoppable{TB: t}
				stream, err := dial(t, Serve(of, server.Service{Desc: &testpb.TestService_ServiceDesc, Impl: service})).StreamingOutputCall(t.Context(), &testpb.StreamingOutputCallRequest{})
				if err != nil {
					t.Fatal(err)
				}
				<-begun
				of.stop()
				if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
					t.Errorf("the stream ends with %v, want code Unavailable", err)
				}
			})
			if len(errs) != min(len(test.want), 1) || test.want != "" && !strings.Contains(errs[0], test.want) {
				t.Errorf("the errors are %q, want %q", errs, test.want)
			}
		})
	}
}

// A message about an RPC says where its method is, if that is known.
func TestMessagesSayWhere(t *testing.T) {
	type promoted struct{ *handled }
	for want, service := range map[string]any{"runtime/servertest/watch_test.go:30": &handled{}, "": promoted{}} {
		if got := position(service, "/grpc.testing.TestService/unary_call"); got != want {
			t.Errorf("a method of %T is at %q, want %q", service, got, want)
		}
	}
}
