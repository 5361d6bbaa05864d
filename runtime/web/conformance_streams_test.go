package web_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// talks calls a function for each lane in which both sides can stream.
func (s *served) talks(t *testing.T, test func(t *testing.T, l lane)) {
	t.Helper()
	s.eachOf(t, []kind{bothWays}, func(t *testing.T, _ kind, l lane) { test(t, l) })
}

// Both sides speak when they like, and each ends when it likes.
func TestBothSidesOfAStreamSpeakAndEndWhenTheyLike(t *testing.T) {
	t.Parallel()
	type talk = func(testpb.BenchmarkService_StreamingCallServer) error
	echo := func(stream testpb.BenchmarkService_StreamingCallServer) error {
		for {
			request, err := stream.Recv()
			if err == io.EOF {
				return stream.Send(reply("end"))
			}
			if err != nil {
				return err
			}
			if err := stream.Send(reply(textOf(request))); err != nil {
				return err
			}
		}
	}
	for name, c := range map[string]struct {
		talk talk
		// script is what the client does: "a>" sends a, "<a" receives it, ">" ends sending.
		script string
		code   codes.Code
	}{
		"in turn":                  {echo, "a> <a b> <b > <end", codes.OK},
		"the client first":         {echo, "a> b> c> > <a <b <c <end", codes.OK},
		"the client sends nothing": {echo, "> <end", codes.OK},
		"the server first":         {func(stream testpb.BenchmarkService_StreamingCallServer) error { return stream.Send(reply("hello")) }, "<hello", codes.OK},
		"the server ends early": {func(stream testpb.BenchmarkService_StreamingCallServer) error {
			return status.Error(codes.Aborted, "enough")
		}, "", codes.Aborted},
		"the server ends after one": {func(stream testpb.BenchmarkService_StreamingCallServer) error { _, err := stream.Recv(); return err }, "a>", codes.OK},
		"the server speaks after both": {func(stream testpb.BenchmarkService_StreamingCallServer) error {
			for {
				if _, err := stream.Recv(); err == io.EOF {
					break
				} else if err != nil {
					return err
				}
			}
			if _, err := stream.Recv(); err != io.EOF {
				return status.Errorf(codes.Unknown, "receiving after the end: %v", err)
			}
			if err := stream.Send(reply("one")); err != nil {
				return err
			}
			return status.Error(codes.OutOfRange, "two")
		}, "a> > <one", codes.OutOfRange},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, nil)
			s.service.talk = c.talk
			s.talks(t, func(t *testing.T, l lane) {
				stream, err := l.open(soon(t), bothWays)
				if err != nil {
					t.Fatal(err)
				}
				for _, step := range strings.Fields(c.script) {
					switch want, receives := strings.CutPrefix(step, "<"); {
					case receives:
						if got, err := stream.receive(); err != nil || got != want {
							t.Fatalf("received %q, %v, want %q", got, err, want)
						}
					case step == ">":
						if err := stream.closeSend(); err != nil {
							t.Fatal(err)
						}
					default:
						if err := stream.send(strings.TrimSuffix(step, ">")); err != nil {
							t.Fatal(err)
						}
					}
				}
				_, err = stream.receive()
				if err == io.EOF {
					err = nil
				}
				if status.Code(err) != c.code {
					t.Errorf("the call ended with %v, want %v", err, c.code)
				}
			})
		})
	}
}

// A reply of a stream arrives when it is sent, not when the stream ends.
func TestRepliesArriveOneByOneByAllWays(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	next := make(chan struct{})
	s.service.tail = func(stream testpb.BenchmarkService_StreamingFromServerServer) error {
		for _, text := range []string{"a", "b", "c"} {
			if err := stream.Send(reply(text)); err != nil {
				return err
			}
			select {
			case <-next:
			case <-time.After(testTimeout):
				return status.Error(codes.Unavailable, "the reply did not arrive")
			}
		}
		return nil
	}
	s.eachOf(t, []kind{fromServer}, func(t *testing.T, k kind, l lane) {
		stream, err := l.open(soon(t), k)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.send(""); err != nil {
			t.Fatal(err)
		}
		if err := stream.closeSend(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for {
			text, err := stream.receive()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, text)
			next <- struct{}{}
		}
		if !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("got %q", got)
		}
	})
}

// A client that leaves in the middle ends what its handler waits for.
func TestAClientThatLeavesInTheMiddleEndsItsStream(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	ended := make(chan error, 1)
	s.service.talk = func(stream testpb.BenchmarkService_StreamingCallServer) error {
		for {
			request, err := stream.Recv()
			if err != nil {
				ended <- err
				return err
			}
			if err := stream.Send(reply(textOf(request))); err != nil {
				return err
			}
		}
	}
	s.service.tail = func(stream testpb.BenchmarkService_StreamingFromServerServer) error {
		if err := stream.Send(reply("a")); err != nil {
			return err
		}
		<-stream.Context().Done()
		ended <- stream.Context().Err()
		return stream.Context().Err()
	}
	s.eachOf(t, []kind{fromServer, bothWays}, func(t *testing.T, k kind, l lane) {
		ctx, cancel := context.WithCancel(soon(t))
		defer cancel()
		stream, err := l.open(ctx, k)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.send("a"); err != nil {
			t.Fatal(err)
		}
		if !k.clientStreams {
			if err := stream.closeSend(); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := stream.receive(); err != nil || got != "a" {
			t.Fatalf("received %q, %v", got, err)
		}
		cancel()
		if _, err := stream.receive(); status.Code(err) != codes.Canceled {
			t.Errorf("the client got %v", err)
		}
		select {
		case err := <-ended:
			if code := status.FromContextError(err).Code(); code != codes.Canceled && status.Code(err) != codes.Canceled {
				t.Errorf("the handler got %v", err)
			}
		case <-time.After(testTimeout):
			t.Error("the handler does not end")
		}
	})
}

// When the server stops, streams that would go on end in the same way by all ways, and
// calls under way finish.
func TestCallsEndByAllWaysWhenTheServerStops(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	stays, finish := make(chan struct{}, 10), make(chan struct{})
	s.service.handles(func(context.Context, []string) ([]string, error) {
		stays <- struct{}{}
		<-finish
		return []string{"b"}, nil
	})
	s.service.tail = func(stream testpb.BenchmarkService_StreamingFromServerServer) error {
		ctx, cancel := server.UntilDrain(stream.Context())
		defer cancel()
		if err := stream.Send(reply("a")); err != nil {
			return err
		}
		<-ctx.Done()
		return context.Cause(ctx)
	}
	s.service.talk = func(stream testpb.BenchmarkService_StreamingCallServer) error {
		if err := stream.Send(reply("a")); err != nil {
			return err
		}
		_, err := stream.Recv()
		return err
	}
	type under struct {
		name string
		conversation
	}
	var streams []under
	var calls []chan outcome
	for _, l := range s.lanes(t) {
		ended := make(chan outcome, 1)
		go func() { ended <- l.call(soon(t), call{kind: unary, requests: []string{"a"}}) }()
		<-stays
		calls = append(calls, ended)
		for _, k := range []kind{fromServer, bothWays} {
			if l.open == nil || !l.can(k) {
				continue
			}
			stream, err := l.open(soon(t), k)
			if err != nil {
				t.Fatal(err)
			}
			if k == fromServer {
				if err := errors.Join(stream.send("a"), stream.closeSend()); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := stream.receive(); err != nil || got != "a" {
				t.Fatalf("%s by %s: %q, %v", k.name, l.name, got, err)
			}
			streams = append(streams, under{k.name + " by " + l.name, stream})
		}
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	for _, stream := range streams {
		if _, err := stream.receive(); status.Code(err) != codes.Unavailable {
			t.Errorf("%s ends with %v", stream.name, err)
		}
	}
	close(finish)
	for _, ended := range calls {
		if o := <-ended; o.status.Code() != codes.OK {
			t.Errorf("a call under way ends with %v", o.status)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
