package servertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// other is a service whose RPCs do what a test says.
type other struct {
	kindspb.UnimplementedOtherServer
	unary    func(context.Context, *kindspb.UpdateRequest) (*kindspb.Reply, error)
	upload   func(kindspb.Other_ClientStreamServer) error
	download func(*kindspb.ClickEvent, kindspb.Other_ServerStreamServer) error
	bidi     func(kindspb.Other_BidiServer) error
}

func (o *other) NotHeld(ctx context.Context, request *kindspb.UpdateRequest) (*kindspb.Reply, error) {
	return o.unary(ctx, request)
}
func (o *other) ClientStream(stream kindspb.Other_ClientStreamServer) error { return o.upload(stream) }
func (o *other) ServerStream(request *kindspb.ClickEvent, stream kindspb.Other_ServerStreamServer) error {
	return o.download(request, stream)
}
func (o *other) Bidi(stream kindspb.Other_BidiServer) error { return o.bidi(stream) }

// test tests the RPC that the service has, as generated code does.
func (o *other) test(t *testing.T, options Options) {
	serve := func(t testing.TB) kindspb.OtherClient {
		conn, err := grpc.NewClient(Serve(t, server.Service{Desc: &kindspb.Other_ServiceDesc, Impl: o}), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return kindspb.NewOtherClient(conn)
	}
	switch {
	case o.unary != nil:
		Answers(t, Plain[*kindspb.UpdateRequest]{
			Options: options, RPC: kindspb.Other_NotHeld_FullMethodName, Request: func() *kindspb.UpdateRequest { return Sample[*kindspb.UpdateRequest]() },
			Serve: func(t testing.TB) func(context.Context, *kindspb.UpdateRequest) error {
				client := serve(t)
				return func(ctx context.Context, request *kindspb.UpdateRequest) error {
					_, err := client.NotHeld(ctx, request)
					return err
				}
			},
		})
	case o.upload != nil:
		Streams(t, Streaming[*kindspb.Reply, *kindspb.Reply]{
			Options: options, RPC: kindspb.Other_ClientStream_FullMethodName, Request: func() *kindspb.Reply { return Sample[*kindspb.Reply]() }, Desc: grpc.StreamDesc{ClientStreams: true},
			Serve: func(t testing.TB) Begin[*kindspb.Reply] {
				client := serve(t)
				return func(ctx context.Context, _ *kindspb.Reply) (grpc.ClientStream, error) {
					return client.ClientStream(ctx)
				}
			},
		})
	case o.download != nil:
		Streams(t, Streaming[*kindspb.ClickEvent, *kindspb.Reply]{
			Options: options, RPC: kindspb.Other_ServerStream_FullMethodName, Request: func() *kindspb.ClickEvent { return Sample[*kindspb.ClickEvent]() }, Desc: grpc.StreamDesc{ServerStreams: true},
			Serve: func(t testing.TB) Begin[*kindspb.ClickEvent] {
				client := serve(t)
				return func(ctx context.Context, request *kindspb.ClickEvent) (grpc.ClientStream, error) {
					return client.ServerStream(ctx, request)
				}
			},
		})
	default:
		Streams(t, Streaming[*kindspb.Reply, *kindspb.Reply]{
			Options: options, RPC: kindspb.Other_Bidi_FullMethodName, Request: func() *kindspb.Reply { return Sample[*kindspb.Reply]() }, Desc: grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
			Serve: func(t testing.TB) Begin[*kindspb.Reply] {
				client := serve(t)
				return func(ctx context.Context, _ *kindspb.Reply) (grpc.ClientStream, error) { return client.Bidi(ctx) }
			},
		})
	}
}

// eachOf calls a function for each request of a stream.
func eachOf[Request any](stream interface{ Recv() (Request, error) }, each func(Request) error) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = each(request)
		}
		if err != nil {
			return err
		}
	}
}

func TestRightPlainRPCsPass(t *testing.T) {
	short(t, &callTimeout, 5*time.Second)
	reply := &kindspb.Reply{Message: "yes"}
	places := make(chan struct{}, 2)
	for _, test := range []struct {
		name    string
		service *other
		options Options
	}{
		{"a stub", &other{unary: kindspb.UnimplementedOtherServer{}.NotHeld}, Options{}},
		{"nothing is found", &other{unary: func(context.Context, *kindspb.UpdateRequest) (*kindspb.Reply, error) {
			return nil, status.Error(codes.NotFound, "there is none")
		}}, Options{}},
		{"invalid requests are refused", &other{unary: func(_ context.Context, request *kindspb.UpdateRequest) (*kindspb.Reply, error) {
			if request.GetEvent() == nil || request.GetAsOf() == nil {
				return nil, status.Error(codes.InvalidArgument, "event and as_of are required")
			}
			return reply, nil
		}}, Options{}},
		{"an answer waits for something", &other{unary: func(ctx context.Context, _ *kindspb.UpdateRequest) (*kindspb.Reply, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}, Options{}},
		{"callers show a token", &other{unary: func(ctx context.Context, _ *kindspb.UpdateRequest) (*kindspb.Reply, error) {
			if len(metadata.ValueFromIncomingContext(ctx, "token")) == 0 {
				return nil, errors.New("a token is asked for")
			}
			return reply, nil
		}}, Options{Context: func(ctx context.Context) context.Context { return metadata.AppendToOutgoingContext(ctx, "token", "x") }}},
		{"two at once", &other{unary: func(context.Context, *kindspb.UpdateRequest) (*kindspb.Reply, error) {
			select {
			case places <- struct{}{}:
				time.Sleep(time.Millisecond)
				<-places
				return reply, nil
			default:
				return nil, errors.New("too many")
			}
		}}, Options{Callers: 2}},
		{"a list", &other{download: func(_ *kindspb.ClickEvent, stream kindspb.Other_ServerStreamServer) error {
			for range 10 {
				if err := stream.Send(reply); err != nil {
					return err
				}
			}
			return nil
		}}, Options{}},
		{"an empty list", &other{download: func(*kindspb.ClickEvent, kindspb.Other_ServerStreamServer) error { return nil }}, Options{}},
		{"a watch with nothing to send yet", &other{download: func(_ *kindspb.ClickEvent, stream kindspb.Other_ServerStreamServer) error {
			ctx, stop := server.UntilDrain(stream.Context())
			defer stop()
			<-ctx.Done()
			return context.Cause(ctx)
		}}, Options{}},
		{"a watch that sends now and then", &other{download: func(_ *kindspb.ClickEvent, stream kindspb.Other_ServerStreamServer) error {
			ctx, stop := server.UntilDrain(stream.Context())
			defer stop()
			for {
				select {
				case <-time.After(time.Millisecond):
					if err := stream.Send(reply); err != nil {
						return err
					}
				case <-ctx.Done():
					return nil
				}
			}
		}}, Options{}},
		{"a sum", &other{upload: func(stream kindspb.Other_ClientStreamServer) error {
			sum := &kindspb.Reply{}
			if err := eachOf(stream, func(request *kindspb.Reply) error { sum.Count += request.GetCount(); return nil }); err != nil {
				return err
			}
			return stream.SendAndClose(sum)
		}}, Options{}},
		{"an upload of which only the first is read", &other{upload: func(stream kindspb.Other_ClientStreamServer) error {
			if _, err := stream.Recv(); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			return stream.SendAndClose(reply)
		}}, Options{}},
		{"an empty upload is refused", &other{upload: func(stream kindspb.Other_ClientStreamServer) error {
			any := false
			if err := eachOf(stream, func(*kindspb.Reply) error { any = true; return nil }); err != nil {
				return fmt.Errorf("an upload: %w", err)
			}
			if !any {
				return status.Error(codes.InvalidArgument, "nothing was uploaded")
			}
			return stream.SendAndClose(reply)
		}}, Options{}},
		{"an echo", &other{bidi: func(stream kindspb.Other_BidiServer) error { return eachOf(stream, stream.Send) }}, Options{}},
		{"a chat", &other{bidi: func(stream kindspb.Other_BidiServer) error {
			said, ended := make(chan *kindspb.Reply), make(chan error, 1)
			go func() {
				ended <- eachOf(stream, func(request *kindspb.Reply) error {
					select {
					case said <- request:
						return nil
					case <-stream.Context().Done():
						return stream.Context().Err()
					}
				})
			}()
			for {
				select {
				case request := <-said:
					if err := stream.Send(request); err != nil {
						return err
					}
				case err := <-ended:
					if status.Code(err) == codes.Canceled { // who left is not an error
						return nil
					}
					return err
				}
			}
		}}, Options{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.service.test(t, test.options)
		})
	}
}

// TestWrongPlainRPCsFail with a message that says what is wrong.
func TestWrongPlainRPCsFail(t *testing.T) {
	t.Parallel()
	failures := failuresOf(t, "TestOfWrongPlainRPCs")
	for _, wrong := range wrongPlainRPCs() {
		checkFailures(t, wrong.name, wrong.want, failures)
	}
}

// TestOfWrongPlainRPCs runs in the process of [TestWrongPlainRPCsFail].
func TestOfWrongPlainRPCs(t *testing.T) {
	toFail(t)
	for _, wrong := range wrongPlainRPCs() {
		t.Run(wrong.name+"/RPC", func(t *testing.T) {
			t.Parallel()
			wrong.service.test(t, Options{})
		})
	}
}

type wrongPlainRPC struct {
	name    string
	want    string // a part of the message
	service *other
}

func wrongPlainRPCs() []wrongPlainRPC {
	reply := &kindspb.Reply{Message: "yes"}
	forever := make(chan struct{})
	var afterError, whileSending, whileReceiving sync.Mutex
	return []wrongPlainRPC{
		{"an error without a code", "an empty request ended with rpc error: code = Internal", &other{unary: func(context.Context, *kindspb.UpdateRequest) (*kindspb.Reply, error) {
			return nil, errors.New("no such user")
		}}},
		{"nil", "NotHeld returned neither a reply nor an error", &other{unary: func(context.Context, *kindspb.UpdateRequest) (*kindspb.Reply, error) {
			return nil, nil
		}}},
		{"a part that is missing", "a request without as_of ended with rpc error: code = Internal", &other{unary: func(_ context.Context, request *kindspb.UpdateRequest) (*kindspb.Reply, error) {
			if request.GetEvent() != nil {
				return &kindspb.Reply{Count: uint32(request.AsOf.Seconds)}, nil
			}
			return reply, nil
		}}},
		{"a lock that is kept after an error", "NotHeld still runs 1s after its caller has gone", &other{unary: func(_ context.Context, request *kindspb.UpdateRequest) (*kindspb.Reply, error) {
			afterError.Lock()
			if request.GetEvent() == nil {
				return nil, status.Error(codes.NotFound, "there is none")
			}
			afterError.Unlock()
			return reply, nil
		}}},
		{"a sleep", "NotHeld still runs 1s after its caller has gone", &other{unary: func(context.Context, *kindspb.UpdateRequest) (*kindspb.Reply, error) {
			time.Sleep(time.Minute)
			return reply, nil
		}}},
		{"a goroutine for each call", "NotHeld leaves goroutines behind: 8 of 8 calls left ", &other{unary: func(context.Context, *kindspb.UpdateRequest) (*kindspb.Reply, error) {
			go func() { <-forever }()
			return reply, nil
		}}},
		{"eight at once", "a request among others ended with rpc error: code = Internal", func() *other {
			places := make(chan struct{}, 8)
			return &other{unary: func(context.Context, *kindspb.UpdateRequest) (*kindspb.Reply, error) {
				select {
				case places <- struct{}{}:
					time.Sleep(10 * time.Millisecond)
					<-places
					return reply, nil
				default:
					return nil, errors.New("too many")
				}
			}}
		}()},
		{"a lock that is kept while it sends", "a slow caller holds up no other: ", &other{download: func(_ *kindspb.ClickEvent, stream kindspb.Other_ServerStreamServer) error {
			whileSending.Lock()
			defer whileSending.Unlock()
			return stream.Send(reply)
		}}},
		{"a watch that does not end with its caller", "ServerStream still runs 1s after its caller has gone", &other{download: func(_ *kindspb.ClickEvent, stream kindspb.Other_ServerStreamServer) error {
			if err := stream.Send(reply); err != nil {
				return err
			}
			<-forever
			return nil
		}}},
		{"a watch that does not end with its server", "ServerStream still runs 1s after the server began to stop", &other{download: func(_ *kindspb.ClickEvent, stream kindspb.Other_ServerStreamServer) error {
			if err := stream.Send(reply); err != nil {
				return err
			}
			<-stream.Context().Done()
			return stream.Context().Err()
		}}},
		{"an upload that ends with EOF", "a full request ended with rpc error: code = Internal", &other{upload: func(stream kindspb.Other_ClientStreamServer) error {
			for {
				if _, err := stream.Recv(); err != nil {
					return err
				}
			}
		}}},
		{"an upload that ends with any error", "ClientStream returned no error though Recv had failed with InvalidArgument", &other{upload: func(stream kindspb.Other_ClientStreamServer) error {
			for {
				if _, err := stream.Recv(); err != nil {
					return stream.SendAndClose(reply)
				}
			}
		}}},
		{"an upload that goes on after an error", "ClientStream goes on receiving after Recv has failed", &other{upload: func(stream kindspb.Other_ClientStreamServer) error {
			for range 1000 {
				if _, err := stream.Recv(); errors.Is(err, io.EOF) {
					return stream.SendAndClose(reply)
				}
			}
			return status.Error(codes.Aborted, "enough")
		}}},
		{"a lock that is kept while it receives", "a slow caller holds up no other: ", &other{upload: func(stream kindspb.Other_ClientStreamServer) error {
			whileReceiving.Lock()
			defer whileReceiving.Unlock()
			if err := eachOf(stream, func(*kindspb.Reply) error { return nil }); err != nil {
				return err
			}
			return stream.SendAndClose(reply)
		}}},
		{"an upload that needs a request", "a stream without requests ended with rpc error: code = Internal", &other{upload: func(stream kindspb.Other_ClientStreamServer) error {
			var last *kindspb.Reply
			if err := eachOf(stream, func(request *kindspb.Reply) error { last = request; return nil }); err != nil {
				return err
			}
			return stream.SendAndClose(&kindspb.Reply{Message: last.Message})
		}}},
		{"an echo that ends with EOF", "a full request ended with rpc error: code = Internal", &other{bidi: func(stream kindspb.Other_BidiServer) error {
			for {
				request, err := stream.Recv()
				if err != nil {
					return err
				}
				if err := stream.Send(request); err != nil {
					return err
				}
			}
		}}},
		{"an echo that goes on after the end", "Bidi goes on receiving after Recv has failed with EOF", &other{bidi: func(stream kindspb.Other_BidiServer) error {
			for stream.Context().Err() == nil {
				if request, err := stream.Recv(); err == nil {
					_ = stream.Send(request)
				}
			}
			return stream.Context().Err()
		}}},
		{"an echo that takes any error for the end", "Bidi returned no error though Recv had failed with InvalidArgument", &other{bidi: func(stream kindspb.Other_BidiServer) error {
			for {
				request, err := stream.Recv()
				if err != nil {
					return nil
				}
				if err := stream.Send(request); err != nil {
					return err
				}
			}
		}}},
	}
}

// toFail makes ready what runs wrong services, and skips it elsewhere.
func toFail(t *testing.T) {
	if os.Getenv("SERVERTEST_WRONG") == "" {
		t.Skip("it is to fail")
	}
	short(t, &callTimeout, 10*time.Second)
	short(t, &endTime, time.Second)
}

// checkFailures checks that the test of an RPC failed with a message.
func checkFailures(t *testing.T, name, want string, in failures) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		got, found := in.find(t, name+"/RPC", func(f failure) bool { return strings.Contains(f.part+": "+f.text, want) })
		if !found {
			t.Errorf("want a failure with %q, and it has %+v", want, got)
		}
	})
}
