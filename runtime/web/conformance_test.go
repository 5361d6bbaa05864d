package web_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// httpStatus is the status of HTTP of each code, as the Connect protocol has it.
var httpStatus = map[codes.Code]int{
	codes.OK:                 http.StatusOK,
	codes.Canceled:           499,
	codes.Unknown:            http.StatusInternalServerError,
	codes.InvalidArgument:    http.StatusBadRequest,
	codes.DeadlineExceeded:   http.StatusGatewayTimeout,
	codes.NotFound:           http.StatusNotFound,
	codes.AlreadyExists:      http.StatusConflict,
	codes.PermissionDenied:   http.StatusForbidden,
	codes.ResourceExhausted:  http.StatusTooManyRequests,
	codes.FailedPrecondition: http.StatusBadRequest,
	codes.Aborted:            http.StatusConflict,
	codes.OutOfRange:         http.StatusBadRequest,
	codes.Unimplemented:      http.StatusNotImplemented,
	codes.Internal:           http.StatusInternalServerError,
	codes.Unavailable:        http.StatusServiceUnavailable,
	codes.DataLoss:           http.StatusInternalServerError,
	codes.Unauthenticated:    http.StatusUnauthorized,
}

// checkHTTP checks the status of HTTP of a call that ended with a code.
func checkHTTP(t *testing.T, k kind, l lane, o outcome, code codes.Code) {
	t.Helper()
	want := http.StatusOK
	if l.inStatus && !k.clientStreams && !k.serverStreams {
		want = httpStatus[code]
	}
	if o.http != 0 && o.http != want {
		t.Errorf("HTTP status %d, want %d", o.http, want)
	}
}

// Every status reaches the client as the handler made it, by every way to call it, with
// its details and the right status of HTTP.
func TestStatusesAreTheSameByAllWays(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	details := []proto.Message{
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "who", Description: "is empty"}}},
		&errdetails.ErrorInfo{Reason: "EMPTY", Domain: "example.com", Metadata: map[string]string{"a": "b"}},
	}
	const message = "50 % of \"it\":\r\n☺ and 😈\t"
	s.each(t, func(t *testing.T, k kind, l lane) {
		for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
			s.service.handles(func(context.Context, []string) ([]string, error) {
				made := status.New(code, message).Proto()
				for _, detail := range details {
					made.Details = append(made.Details, wrapped(t, detail))
				}
				return nil, status.FromProto(made).Err()
			})
			o := l.call(soon(t), call{kind: k, requests: []string{"a"}})
			if o.status.Code() != code || o.status.Message() != message || !hasDetails(o.status, details...) {
				t.Errorf("%v: got %v, %q, %v", code, o.status.Code(), o.status.Message(), o.status.Details())
			}
			checkHTTP(t, k, l, o, code)
		}
	})
}

// What a handler returns that was not made for callers does not reach them.
func TestErrorsThatAreNotForCallersStayWithin(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, c := range []struct {
		name    string
		handler handler
		code    codes.Code
		message string
	}{
		{"a panic", func(context.Context, []string) ([]string, error) { panic("password") }, codes.Internal, "internal error"},
		{"an error without a status", func(context.Context, []string) ([]string, error) { return nil, errors.New("password") }, codes.Internal, "internal error"},
		{"a wrapped status", func(context.Context, []string) ([]string, error) {
			return nil, fmt.Errorf("password: %w", status.Error(codes.NotFound, "no such thing"))
		}, codes.NotFound, "no such thing"},
		{"a deadline of its own", func(context.Context, []string) ([]string, error) {
			return nil, fmt.Errorf("password: %w", context.DeadlineExceeded)
		}, codes.DeadlineExceeded, "context deadline exceeded"},
		{"a cancellation of its own", func(context.Context, []string) ([]string, error) {
			return nil, fmt.Errorf("password: %w", context.Canceled)
		}, codes.Canceled, "context canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.each(t, func(t *testing.T, k kind, l lane) {
				s.service.handles(c.handler)
				o := l.call(soon(t), call{kind: k, requests: []string{"a"}})
				if o.status.Code() != c.code || o.status.Message() != c.message {
					t.Errorf("got %v, want %v: %s", o.status, c.code, c.message)
				}
				checkHTTP(t, k, l, o, c.code)
			})
		})
	}
}

// Metadata goes both ways: several values, binary ones, and those of calls that fail.
func TestMetadataIsTheSameByAllWays(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	binary := string([]byte{0, 1, 2, 253, 254, 255})
	s.each(t, func(t *testing.T, k kind, l lane) {
		for _, failure := range []error{nil, status.Error(codes.Aborted, "no")} {
			var got metadata.MD
			s.service.handles(func(ctx context.Context, _ []string) ([]string, error) {
				got, _ = metadata.FromIncomingContext(ctx)
				err := errors.Join(
					grpc.SetHeader(ctx, metadata.Pairs("x-header", "one")),
					grpc.SetHeader(ctx, metadata.Pairs("x-header", "two", "x-header-bin", binary)),
					grpc.SetTrailer(ctx, metadata.Pairs("x-trailer", "three", "x-trailer", "four", "x-trailer-bin", binary, "x-trailer-bin", "")),
				)
				if err != nil {
					t.Error(err)
				}
				return []string{"b"}, failure
			})
			o := l.call(soon(t), call{kind: k, requests: []string{"a"}, metadata: metadata.Pairs(
				"event-id", "0198-a", "x-many", "one", "x-many", "two", "x-some-bin", binary, "authorization", "Bearer x")})
			if o.status.Code() != status.Code(failure) {
				t.Fatalf("the call ended with %v", o.status)
			}
			for name, want := range map[string][]string{
				"event-id": {"0198-a"}, "x-many": {"one", "two"}, "x-some-bin": {binary}, "authorization": {"Bearer x"},
			} {
				if !slices.Equal(got[name], want) {
					t.Errorf("the handler got %s = %q, want %q", name, got[name], want)
				}
			}
			for _, name := range []string{"x-header", "x-header-bin"} {
				want := map[string][]string{"x-header": {"one", "two"}, "x-header-bin": {binary}}[name]
				// Without a reply gRPC's own answer has no headers apart from trailers.
				if both := append(slices.Clone(o.header[name]), o.trailer[name]...); !slices.Equal(both, want) {
					t.Errorf("the client got %s = %q, want %q", name, both, want)
				}
			}
			for name, want := range map[string][]string{"x-trailer": {"three", "four"}, "x-trailer-bin": {binary, ""}} {
				if !slices.Equal(o.trailer[name], want) {
					t.Errorf("the client got the trailer %s = %q, want %q", name, o.trailer[name], want)
				}
			}
		}
	})
}

// What the protocols themselves need stays theirs, whatever a handler sets.
func TestHandlersCannotSetWhatIsTheProtocols(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.service.handles(func(ctx context.Context, _ []string) ([]string, error) {
		for _, name := range []string{"content-type", "content-length", "grpc-status", "grpc-encoding", "connect-content-encoding", "content-encoding", "trailer", "transfer-encoding", "connection"} {
			_ = grpc.SetHeader(ctx, metadata.Pairs(name, "7"))
			_ = grpc.SetTrailer(ctx, metadata.Pairs(name, "7"))
		}
		return []string{"b"}, nil
	})
	s.each(t, func(t *testing.T, k kind, l lane) {
		o := l.call(soon(t), call{kind: k, requests: []string{"a"}})
		if o.status.Code() != codes.OK || !slices.Equal(o.replies, []string{"b"}) {
			t.Errorf("got %q, %v", o.replies, o.status)
		}
	})
}

// A deadline of the client is the handler's, too.
func TestDeadlinesAreTheSameByAllWays(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	t.Run("is seen", func(t *testing.T) {
		s.each(t, func(t *testing.T, k kind, l lane) {
			var left time.Duration
			s.service.handles(func(ctx context.Context, _ []string) ([]string, error) {
				deadline, _ := ctx.Deadline()
				left = time.Until(deadline)
				return []string{"b"}, nil
			})
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			if o := l.call(ctx, call{kind: k, requests: []string{"a"}}); o.status.Code() != codes.OK {
				t.Fatalf("the call ended with %v", o.status)
			}
			if left > time.Hour || left < time.Hour-testTimeout {
				t.Errorf("the handler has %v left, want an hour", left)
			}
		})
	})
	t.Run("is none", func(t *testing.T) {
		s.each(t, func(t *testing.T, k kind, l lane) {
			found := true
			s.service.handles(func(ctx context.Context, _ []string) ([]string, error) {
				_, found = ctx.Deadline()
				return []string{"b"}, nil
			})
			if o := l.call(soon(t), call{kind: k, requests: []string{"a"}}); o.status.Code() != codes.OK {
				t.Fatalf("the call ended with %v", o.status)
			}
			if found {
				t.Error("the handler has a deadline")
			}
		})
	})
	t.Run("passes", func(t *testing.T) {
		s.each(t, func(t *testing.T, k kind, l lane) {
			// On a slow machine the time may be up before the handler begins.
			for timeout, began := 20*time.Millisecond, false; !began; timeout *= 2 {
				begins, ended := make(chan struct{}, 1), make(chan error, 1)
				s.service.handles(func(ctx context.Context, _ []string) ([]string, error) {
					begins <- struct{}{}
					<-ctx.Done()
					ended <- ctx.Err()
					return nil, ctx.Err()
				})
				ctx, cancel := context.WithTimeout(context.Background(), timeout)
				defer cancel()
				o := l.call(ctx, call{kind: k, requests: []string{"a"}})
				// A client of Connect may leave before it has read more than the status of HTTP.
				if o.status.Code() != codes.DeadlineExceeded && o.http != http.StatusGatewayTimeout {
					t.Errorf("the call ended with %v", o.status)
				}
				select {
				case <-begins:
					began = true
				default:
					continue
				}
				select {
				case err := <-ended:
					// A client whose time is up may leave before the server's is.
					if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
						t.Errorf("the handler's context ended with %v", err)
					}
				case <-time.After(testTimeout):
					t.Error("the handler's context does not end")
				}
			}
		})
	})
}

// A client that leaves ends the handler's context.
func TestCancellationReachesHandlersByAllWays(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.each(t, func(t *testing.T, k kind, l lane) {
		ctx, cancel := context.WithCancel(soon(t))
		ended := make(chan error, 1)
		s.service.handles(func(ctx context.Context, _ []string) ([]string, error) {
			cancel()
			select {
			case <-ctx.Done():
			case <-time.After(testTimeout):
			}
			ended <- ctx.Err()
			return nil, ctx.Err()
		})
		if o := l.call(ctx, call{kind: k, requests: []string{"a"}}); o.status.Code() != codes.Canceled {
			t.Errorf("the call ended with %v", o.status)
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the handler's context ended with %v", err)
		}
	})
}

// Requests and replies arrive as they were sent, compressed or not, small and large.
func TestMessagesArriveByAllWays(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.service.handles(func(_ context.Context, requests []string) ([]string, error) {
		all := strings.Join(requests, "+")
		return []string{all, strconv.Itoa(len(requests))}, nil
	})
	large := strings.Repeat("0123456789", 7_000)
	s.each(t, func(t *testing.T, k kind, l lane) {
		for _, text := range []string{"", "a", large} {
			for _, gzip := range []bool{false, true} {
				requests := []string{text}
				if k.clientStreams {
					requests = []string{text, text, text}
				}
				want := []string{strings.Join(requests, "+")}
				if k.serverStreams {
					want = append(want, strconv.Itoa(len(requests)))
				}
				o := l.call(soon(t), call{kind: k, requests: requests, gzip: gzip})
				if o.status.Code() != codes.OK || !slices.Equal(o.replies, want) {
					t.Errorf("%d bytes, gzip %v: got %d replies, %v", len(text), gzip, len(o.replies), o.status)
				}
			}
		}
	})
}
