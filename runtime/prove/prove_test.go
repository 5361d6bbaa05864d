package prove

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// appendFunc stores events.
type appendFunc func(context.Context, ...*kindspb.ClickEvent) error

// intake is a service that takes events in four ways.
type intake struct {
	kindspb.UnimplementedIntakeServer
	append appendFunc
}

func (s *intake) One(ctx context.Context, event *kindspb.ClickEvent) (*kindspb.Reply, error) {
	return &kindspb.Reply{}, s.append(ctx, event)
}

func (s *intake) Batch(ctx context.Context, request *kindspb.BatchRequest) (*kindspb.Reply, error) {
	return &kindspb.Reply{}, s.append(eventid.Sequence(ctx), request.GetEvents()...)
}

func (s *intake) Upload(stream kindspb.Intake_UploadServer) error {
	ctx := eventid.Sequence(stream.Context())
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&kindspb.Reply{})
		}
		if err == nil {
			err = s.append(ctx, event)
		}
		if err != nil {
			return err
		}
	}
}

func (s *intake) Exchange(stream kindspb.Intake_ExchangeServer) error {
	ctx := eventid.Sequence(stream.Context())
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = s.append(ctx, event)
		}
		if err == nil {
			err = stream.Send(&kindspb.Reply{})
		}
		if err != nil {
			return err
		}
	}
}

// running returns what a main does: it runs the service that make makes of a function
// that appends.
func running(make func(appendFunc) appendFunc) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		config, err := server.Parse("prove", args, os.Getenv, io.Discard)
		if err != nil {
			return err
		}
		log, err := eventlog.Open(ctx, config.Events)
		if err != nil {
			return err
		}
		append := make(func(ctx context.Context, events ...*kindspb.ClickEvent) error {
			_, err := eventlog.AppendMessages(ctx, log, events, func(event *kindspb.ClickEvent) eventlog.Event {
				return eventlog.Event{Type: "click", Subject: event.GetUserId()}
			})
			return err
		})
		takes := server.TakesEvent(func(*kindspb.ClickEvent) string { return "" }).WithFields(server.Fields{})
		batch := server.TakesEvents((*kindspb.BatchRequest).GetEvents, func(*kindspb.ClickEvent) string { return "" }).WithFields(server.Fields{Holder: "events"})
		err = server.Run(ctx, config, server.Without("kinds.v1.Other"), server.Service{
			Desc: &kindspb.Intake_ServiceDesc, Impl: &intake{append: append},
			RPCs: map[string]server.RPC{"One": takes, "Batch": batch, "Upload": takes, "Exchange": takes, "UploadBatches": batch},
		})
		return errors.Join(err, log.Close())
	}
}

// few is enough for each kind of trouble once.
func few(t *testing.T) settings {
	return settings{kills: 3, callers: 16, lasts: 1200 * time.Millisecond, patience: time.Minute, print: t.Logf}
}

func TestARightServerKeepsThePromise(t *testing.T) {
	serveIfChild(running(func(store appendFunc) appendFunc { return store }), flag.Args())
	var printed []string
	s := few(t)
	s.print = func(format string, args ...any) {
		printed = append(printed, fmt.Sprintf(format, args...))
		t.Logf(format, args...)
	}
	for _, failure := range s.prove(t, "prove") {
		t.Error(failure)
	}
	last := printed[len(printed)-1]
	if !strings.HasPrefix(last, "0 of ") || !strings.HasSuffix(last, " acknowledged events lost, 0 duplicated, 3 kills") {
		t.Errorf("it printed %q", last)
	}
}

// A server may ask for a token, and for short lists.
func TestAStrictServerKeepsThePromise(t *testing.T) {
	serveIfChild(running(func(store appendFunc) appendFunc {
		return func(ctx context.Context, events ...*kindspb.ClickEvent) error {
			switch token := metadata.ValueFromIncomingContext(ctx, "authorization"); {
			case !slices.Equal(token, []string{"Bearer x"}):
				return status.Error(codes.Unauthenticated, "no token")
			case len(events) > 1:
				return status.Error(codes.InvalidArgument, "too many events")
			}
			return store(ctx, events...)
		}
	}), flag.Args())
	s := few(t)
	s.kills, s.metadata = 1, parseMetadata(" authorization: Bearer x, tenant: a")
	for _, failure := range s.prove(t, "prove") {
		t.Error(failure)
	}
}

// The request is that beside the code, with another id each time.
func TestARequestIsThatOfAFile(t *testing.T) {
	r, err := newRPC(takes{Service: "kinds.v1.Intake", Method: "One", ID: "type", Where: "runtime/prove/prove.go:1"})
	if err != nil {
		t.Fatal(err)
	}
	first, second := r.newRequest().(*kindspb.ClickEvent), r.newRequest().(*kindspb.ClickEvent)
	if first.GetUserId() != "jerry" || second.GetUserId() != "jerry" || first.GetType() == second.GetType() || first.GetEventTime() != nil {
		t.Errorf("requests are %v and %v, want those of testdata/one.json with a type each", first, second)
	}
}

func TestAWrongServerBreaksThePromise(t *testing.T) {
	var mu sync.Mutex
	calls := 0
	each := func(n int) bool {
		mu.Lock()
		defer mu.Unlock()
		calls++
		return calls%n == 0
	}
	for name, test := range map[string]struct {
		wrong func(appendFunc) appendFunc
		want  string
		short bool
	}{
		"it answers before an event is stored": {func(store appendFunc) appendFunc {
			return func(ctx context.Context, events ...*kindspb.ClickEvent) error {
				go store(context.WithoutCancel(ctx), events...)
				return nil
			}
		}, "before its append has returned", true},
		"it swallows the error of an append": {func(store appendFunc) appendFunc {
			return func(ctx context.Context, events ...*kindspb.ClickEvent) error {
				if err := store(ctx, events...); status.Code(err) == codes.DeadlineExceeded {
					return err
				}
				return nil
			}
		}, "Is the error of an append swallowed?", false},
		"it leaves out some events": {func(store appendFunc) appendFunc {
			return func(ctx context.Context, events ...*kindspb.ClickEvent) error {
				if each(10) {
					return nil
				}
				return store(ctx, events...)
			}
		}, "Are some left out", false},
		"it gives events ids of its own": {func(store appendFunc) appendFunc {
			return func(_ context.Context, events ...*kindspb.ClickEvent) error {
				return store(context.Background(), events...)
			}
		}, "in the log more than once", true},
		"it changes some events": {func(store appendFunc) appendFunc {
			return func(ctx context.Context, events ...*kindspb.ClickEvent) error {
				if each(10) {
					events[0].UserId = "another"
				}
				return store(ctx, events...)
			}
		}, "with other bytes", false},
		"it stores when an event came": {func(store appendFunc) appendFunc {
			return func(ctx context.Context, events ...*kindspb.ClickEvent) error {
				for _, event := range events {
					event.EventTime = timestamppb.Now()
				}
				return store(ctx, events...)
			}
		}, "Does an event change with each try", false},
		"it keeps a lock after an error": {func(store appendFunc) appendFunc {
			var lock sync.Mutex
			return func(ctx context.Context, events ...*kindspb.ClickEvent) error {
				lock.Lock()
				if err := store(ctx, events...); err != nil {
					return err
				}
				lock.Unlock()
				return nil
			}
		}, "Is a lock kept after an error?", false},
		"it refuses everything": {func(appendFunc) appendFunc {
			return func(context.Context, ...*kindspb.ClickEvent) error {
				return status.Error(codes.PermissionDenied, "no token")
			}
		}, "-prove.metadata", false},
		"it crashes": {func(store appendFunc) appendFunc {
			return func(ctx context.Context, events ...*kindspb.ClickEvent) error {
				if each(50) {
					os.Exit(7)
				}
				return store(ctx, events...)
			}
		}, "the server ended by itself, after 0 kills: exit status 7", false},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && !test.short {
				t.Skip("short mode plants two of the mistakes")
			}
			serveIfChild(running(test.wrong), flag.Args())
			s := few(t)
			if strings.Contains(name, "lock") { // which it waits for in vain
				s.patience = 3 * time.Second
			}
			failures := strings.Join(s.prove(t, "prove"), "\n")
			if !strings.Contains(failures, test.want) {
				t.Errorf("the failures are:\n%s\nwant one with %q", failures, test.want)
			}
		})
	}
}
