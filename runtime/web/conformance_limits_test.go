package web_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
)

// A request that is too large is refused, compressed or not, and the limit is named.
func TestLargeRequestsAreRefusedByAllWays(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *settings) { c.MaxMessageBytes = 10_000 })
	s.service.handles(func(context.Context, []string) ([]string, error) { return []string{"b"}, nil })
	s.each(t, func(t *testing.T, k kind, l lane) {
		for _, gzip := range []bool{false, true} {
			o := l.call(soon(t), call{kind: k, requests: []string{strings.Repeat("a", 20_000)}, gzip: gzip})
			if o.status.Code() != codes.ResourceExhausted {
				t.Errorf("gzip %v: the call ended with %v", gzip, o.status)
			}
			checkHTTP(t, k, l, o, codes.ResourceExhausted)
			if o := l.call(soon(t), call{kind: k, requests: []string{strings.Repeat("a", 5_000)}, gzip: gzip}); o.status.Code() != codes.OK {
				t.Errorf("gzip %v: a smaller one ended with %v", gzip, o.status)
			}
		}
	})
}

// Calls count against the same limits, whichever way they come.
func TestCallsCountTogetherByAllWays(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *settings) { c.MaxCalls = 2 }) // one for one address
	begins, finish := make(chan struct{}), make(chan struct{})
	s.service.handles(func(_ context.Context, requests []string) ([]string, error) {
		if requests[0] == "stay" {
			begins <- struct{}{}
			<-finish
		}
		return []string{"b"}, nil
	})
	for _, first := range s.lanes(t) {
		t.Run(first.name, func(t *testing.T) {
			ended := make(chan outcome, 1)
			// A call counts until its answer is read, which the server learns a moment later:
			// so the one before may leave no room yet.
			for began, deadline := false, time.Now().Add(testTimeout); !began; {
				go func() { ended <- first.call(soon(t), call{kind: unary, requests: []string{"stay"}}) }()
				select {
				case <-begins:
					began = true
				case o := <-ended:
					if o.status.Code() != codes.ResourceExhausted || time.Now().After(deadline) {
						t.Fatalf("the first call ended with %v", o.status)
					}
				}
			}
			s.each(t, func(t *testing.T, k kind, l lane) {
				o := l.call(soon(t), call{kind: k, requests: []string{"a"}})
				if o.status.Code() != codes.ResourceExhausted || !strings.Contains(o.status.Message(), "--max-calls is 2") {
					t.Errorf("got %v", o.status)
				}
				checkHTTP(t, k, l, o, codes.ResourceExhausted)
			})
			finish <- struct{}{}
			if o := <-ended; o.status.Code() != codes.OK {
				t.Errorf("the first call ended with %v", o.status)
			}
		})
	}
}

func TestTailsCountTogetherByAllWays(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *settings) { c.MaxTails = 2 }) // one for one address
	s.service.tail = func(stream testpb.BenchmarkService_StreamingFromServerServer) error {
		if err := stream.Send(reply("a")); err != nil {
			return err
		}
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	open := func(ctx context.Context, l lane) error {
		stream, err := l.open(ctx, fromServer)
		if err != nil {
			return err
		}
		_ = stream.send("a") // what is received says why not
		_ = stream.closeSend()
		_, err = stream.receive()
		return err
	}
	lanes := slices.DeleteFunc(s.lanes(t), func(l lane) bool { return l.open == nil })
	for _, first := range lanes {
		t.Run(first.name, func(t *testing.T) {
			ctx, leave := context.WithCancel(soon(t))
			defer leave()
			for deadline := time.Now().Add(testTimeout); ; time.Sleep(time.Millisecond) {
				err := open(ctx, first)
				if err == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("there is no room: %v", err)
				}
			}
			for _, l := range lanes {
				o := l.call(soon(t), call{kind: fromServer, requests: []string{"a"}})
				if o.status.Code() != codes.ResourceExhausted || !strings.Contains(o.status.Message(), "--max-tails is 2") {
					t.Errorf("%s: got %v", l.name, o.status)
				}
			}
		})
	}
}

// A call with more metadata than the server takes does not reach the handler. gRPC resets
// it; HTTP has a status for it.
func TestMuchMetadataIsRefusedByAllWays(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *settings) { c.MaxMetadataBytes = 2 << 10 })
	s.each(t, func(t *testing.T, k kind, l lane) {
		reached := false
		s.service.handles(func(context.Context, []string) ([]string, error) {
			reached = true
			return []string{"b"}, nil
		})
		for length, refused := range map[int]bool{1 << 10: false, 16 << 10: true} {
			reached = false
			o := l.call(soon(t), call{kind: k, requests: []string{"a"}, metadata: metadata.Pairs("much", strings.Repeat("a", length))})
			if (o.status.Code() != codes.OK) != refused || reached == refused {
				t.Errorf("%d bytes: got %v, reached the handler: %v", length, o.status, reached)
			}
		}
	})
}
