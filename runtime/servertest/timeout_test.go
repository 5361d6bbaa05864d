package servertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/memory"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// silent is a service that answers nothing until the call ends.
type silent struct {
	testpb.UnimplementedTestServiceServer
}

func (silent) UnaryCall(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silent) FullDuplexCall(stream testpb.TestService_FullDuplexCallServer) error {
	<-stream.Context().Done()
	return stream.Context().Err()
}

// short makes a timeout short for a test.
func short(t *testing.T, timeout *time.Duration, value time.Duration) {
	before := *timeout
	*timeout = value
	t.Cleanup(func() { *timeout = before })
}

// A test that waits for what never comes ends by itself, and says what it waited for.
func TestCallsWithoutADeadlineEnd(t *testing.T) {
	short(t, &callTimeout, 100*time.Millisecond)
	address := Serve(t, server.Service{Desc: &testpb.TestService_ServiceDesc, Impl: silent{}})
	methods := []client.Method{{Name: "UnaryCall", Retry: true}}
	conn, err := client.Dial(t.Context(), address, []client.Service{{Name: "grpc.testing.TestService", Methods: methods}}, Dialing()...)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	service := testpb.NewTestServiceClient(conn)
	_, unary := service.UnaryCall(t.Context(), &testpb.SimpleRequest{})
	stream, err := service.FullDuplexCall(t.Context())
	if err == nil {
		_, err = stream.Recv()
	}
	for method, err := range map[string]error{"UnaryCall": unary, "FullDuplexCall": err} {
		if status.Code(err) != codes.DeadlineExceeded || !strings.Contains(err.Error(), "/grpc.testing.TestService/"+method+" did not answer within 100ms") {
			t.Errorf("%s ends with %v", method, err)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond) // one of its own
	defer cancel()
	if _, err := service.UnaryCall(ctx, &testpb.SimpleRequest{}); status.Code(err) != codes.DeadlineExceeded || strings.Contains(err.Error(), "did not answer") {
		t.Errorf("with a deadline of its own it ends with %v", err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := service.UnaryCall(canceled, &testpb.SimpleRequest{}); status.Code(err) != codes.Canceled {
		t.Errorf("canceled, it ends with %v", err)
	}
}

// away is a service that is unavailable, and counts its calls.
type away struct {
	testpb.UnimplementedTestServiceServer
	calls atomic.Int32
}

func (a *away) UnaryCall(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	a.calls.Add(1)
	return nil, status.Error(codes.Unavailable, "away")
}

// A test sees the first answer of a server, also from an RPC that other clients try
// again until its deadline.
func TestCallsAreMadeOnce(t *testing.T) {
	service := new(away)
	address := Serve(t, server.Service{Desc: &testpb.TestService_ServiceDesc, Impl: service})
	methods := []client.Method{{Name: "UnaryCall", Retry: true}}
	conn, err := client.Dial(t.Context(), address, []client.Service{{Name: "grpc.testing.TestService", Methods: methods}}, Dialing()...)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = testpb.NewTestServiceClient(conn).UnaryCall(ctx, &testpb.SimpleRequest{})
	if calls := service.calls.Load(); status.Code(err) != codes.Unavailable || calls != 1 {
		t.Errorf("after %d calls it ends with %v, want code Unavailable after one call", calls, err)
	}
}

// recorder is a test that notes its errors.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Error(values ...any) { r.errors = append(r.errors, fmt.Sprint(values...)) }
func (r *recorder) Errorf(format string, values ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, values...))
}

func TestConsumeEndsAndSaysWhy(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for _, test := range []struct {
		name     string
		consumer string
		handle   func(context.Context, eventlog.Record) error
		want     []string // parts of the errors
	}{
		{"a handler that works", "mailer", func(context.Context, eventlog.Record) error { return nil }, nil},
		{"a handler that does not return", "mailer", func(context.Context, eventlog.Record) error { <-release; return nil },
			[]string{"it came to position 0 of 1", "a handler does not return"}},
		{"a handler that fails", "mailer", func(context.Context, eventlog.Record) error { return errors.New("no route") },
			[]string{`the event "a" at position 1 failed`}},
		{"a handler that gives up", "mailer", func(context.Context, eventlog.Record) error { return eventlog.GiveUp(errors.New("no route")) },
			[]string{`gave up on the event "a" at position 1: no route`}},
		{"another name", "biller", func(context.Context, eventlog.Record) error { return nil }, []string{"there is no consumer biller"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			log, err := eventlog.Open(t.Context(), "memory:")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := log.Append(t.Context(), eventlog.Event{ID: "a", Type: "t", Schema: "s"}); err != nil {
				t.Fatal(err)
			}
			if test.want != nil { // else it has all the time that a busy machine takes
				short(t, &consumeTimeout, 500*time.Millisecond)
				short(t, &endTimeout, 100*time.Millisecond)
			}
			r := &recorder{TB: t}
			Consume(r, log, test.consumer, func(ctx context.Context) error {
				return eventlog.Consume(ctx, log, "mailer", test.handle)
			})
			if len(r.errors) != len(test.want) {
				t.Fatalf("the errors are %q, want %q", r.errors, test.want)
			}
			for i, part := range test.want {
				if !strings.Contains(r.errors[i], part) {
					t.Errorf("the error is %q, want %q", r.errors[i], part)
				}
			}
		})
	}
}

// TestDeadLettersAreNoErrors of a test that expects them, and the events after them are
// handled.
func TestDeadLettersAreNoErrors(t *testing.T) {
	log := Log(t)
	for _, id := range []string{"a", "b", "c"} {
		if _, err := log.Append(t.Context(), eventlog.Event{ID: id, Type: "t", Schema: "s"}); err != nil {
			t.Fatal(err)
		}
	}
	var handled []string
	letters := DeadLetters(t, log, "mailer", func(ctx context.Context) error {
		return eventlog.Consume(ctx, log, "mailer", func(_ context.Context, record eventlog.Record) error {
			if record.ID == "b" {
				return eventlog.GiveUp(errors.New("no route"))
			}
			handled = append(handled, record.ID)
			return nil
		})
	})
	if len(letters) != 1 || letters[0].ID != "b" || letters[0].Reason != "no route" {
		t.Errorf("the dead letters are %+v, want b", letters)
	}
	if !slices.Equal(handled, []string{"a", "c"}) {
		t.Errorf("handled are %q, want a and c", handled)
	}
}
