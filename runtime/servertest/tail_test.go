package servertest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// follower is a service whose RPC Follow does what a test says.
type follower struct {
	kindspb.UnimplementedIntakeServer
	log    eventlog.Log
	follow follow
}

type follow func(eventlog.Log, *kindspb.FollowRequest, kindspb.Intake_FollowServer) error

func (f *follower) Follow(request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
	return f.follow(f.log, request, stream)
}

// testTails tests a service as generated code does.
func testTails(t *testing.T, follow follow, options Options) {
	Tails(t, Tailing[*kindspb.FollowRequest, *kindspb.ClickEvent]{
		Options: options, RPC: kindspb.Intake_Follow_FullMethodName, Request: func() *kindspb.FollowRequest { return new(kindspb.FollowRequest) }, After: "after", Since: "since",
		Append: func(ctx context.Context, log eventlog.Log, events ...*kindspb.ClickEvent) ([]eventlog.Receipt, error) {
			return eventlog.AppendMessages(ctx, log, events, func(*kindspb.ClickEvent) eventlog.Event { return eventlog.Event{Type: "click"} })
		},
		Serve: func(t testing.TB, log eventlog.Log) func(context.Context, *kindspb.FollowRequest) (Receiver[*kindspb.ClickEvent], error) {
			conn, err := grpc.NewClient(Serve(t, server.Service{Desc: &kindspb.Intake_ServiceDesc, Impl: &follower{log: log, follow: follow}}),
				grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			return func(ctx context.Context, request *kindspb.FollowRequest) (Receiver[*kindspb.ClickEvent], error) {
				return kindspb.NewIntakeClient(conn).Follow(ctx, request)
			}
		},
	})
}

// begin returns where a request wants to begin.
func begin(request *kindspb.FollowRequest) eventlog.From {
	if since := request.GetSince(); since != nil {
		return eventlog.Since(since.AsTime())
	}
	return eventlog.After(eventlog.Position(request.GetAfter()))
}

// tailFrom follows the log from a beginning.
func tailFrom(ctx context.Context, log eventlog.Log, from eventlog.From, send func(*kindspb.ClickEvent) error) error {
	for stored, err := range eventlog.TailMessages[*kindspb.ClickEvent](ctx, log, from) {
		if err == nil {
			err = send(stored.Message)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// asGenerated is right.
func asGenerated(log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
	ctx, stop := server.UntilDrain(stream.Context())
	defer stop()
	return tailFrom(ctx, log, begin(request), stream.Send)
}

// replaying first, and then following, it is right if it goes on after the last event. It
// sends each from a goroutine that ends with the call.
func replaying(log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
	ctx, stop := server.UntilDrain(stream.Context())
	defer stop()
	events, ended := make(chan *kindspb.ClickEvent), make(chan error, 1)
	go func() {
		from := begin(request)
		for stored, err := range eventlog.ReplayMessages[*kindspb.ClickEvent](ctx, log, from) {
			if err != nil {
				ended <- err
				return
			}
			events <- stored.Message
			from = eventlog.After(stored.Position)
		}
		ended <- tailFrom(ctx, log, from, func(event *kindspb.ClickEvent) error {
			select {
			case events <- event:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	for {
		select {
		case event := <-events:
			if err := stream.Send(event); err != nil {
				return err
			}
		case err := <-ended:
			return err
		}
	}
}

// polling asks the log now and then.
func polling(log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
	ctx, stop := server.UntilDrain(stream.Context())
	defer stop()
	for from := begin(request); ; {
		for stored, err := range eventlog.ReplayMessages[*kindspb.ClickEvent](ctx, log, from) {
			if err != nil {
				return err
			}
			if err := stream.Send(stored.Message); err != nil {
				return err
			}
			from = eventlog.After(stored.Position)
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func TestRightTailsPass(t *testing.T) {
	for name, follow := range map[string]follow{"as generated": asGenerated, "replaying": replaying, "polling": polling} {
		t.Run(name, func(t *testing.T) { testTails(t, follow, Options{}) })
	}
	t.Run("Follow", func(t *testing.T) {
		follow := func(log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
			return asGenerated(log, &kindspb.FollowRequest{Since: request.GetSince()}, stream)
		}
		testTails(t, follow, Options{Skip: map[string]string{"Follow/events after a position are sent": "positions of another log"}})
	})
}

// TestWrongTailsFail with a message that says what is wrong.
func TestWrongTailsFail(t *testing.T) {
	t.Parallel()
	failures := failuresOf(t, "TestOfWrongTails")
	for _, wrong := range wrongTails() {
		checkFailures(t, wrong.name, wrong.want, failures)
	}
}

// TestOfWrongTails runs in the process of [TestWrongTailsFail].
func TestOfWrongTails(t *testing.T) {
	toFail(t)
	for _, wrong := range wrongTails() {
		t.Run(wrong.name+"/RPC", func(t *testing.T) {
			t.Parallel()
			testTails(t, func(log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
				ctx, stop := server.UntilDrain(stream.Context())
				defer stop()
				return wrong.follow(ctx, log, request, stream)
			}, Options{})
		})
	}
}

type wrongTail struct {
	name   string
	want   string // a part of the message
	follow func(context.Context, eventlog.Log, *kindspb.FollowRequest, kindspb.Intake_FollowServer) error
}

func wrongTails() []wrongTail {
	var lock sync.Mutex
	forever := make(chan struct{})
	return []wrongTail{
		{"misses what comes between", "after 300 events came the one at position 30", func(ctx context.Context, log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
			for stored, err := range eventlog.ReplayMessages[*kindspb.ClickEvent](ctx, log, begin(request)) {
				if err != nil {
					return err
				}
				if err := stream.Send(stored.Message); err != nil {
					return err
				}
			}
			stats, err := log.Stats(ctx)
			if err != nil {
				return err
			}
			return tailFrom(ctx, log, eventlog.After(stats.Last), stream.Send)
		}},
		{"repeats what it replayed", "after 300 events came the one at position 1,", func(ctx context.Context, log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
			for stored, err := range eventlog.ReplayMessages[*kindspb.ClickEvent](ctx, log, begin(request)) {
				if err != nil {
					return err
				}
				if err := stream.Send(stored.Message); err != nil {
					return err
				}
			}
			return tailFrom(ctx, log, begin(request), stream.Send)
		}},
		{"sends 100", "after 100 events the call ended with EOF", func(ctx context.Context, log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
			left := 100
			err := tailFrom(ctx, log, begin(request), func(event *kindspb.ClickEvent) error {
				if left--; left < 0 {
					return errors.New("enough")
				}
				return stream.Send(event)
			})
			if left < 0 {
				return nil
			}
			return err
		}},
		{"sends nothing", "after 0 events the call ended with ", func(ctx context.Context, _ eventlog.Log, _ *kindspb.FollowRequest, _ kindspb.Intake_FollowServer) error {
			<-ctx.Done()
			return ctx.Err()
		}},
		{"sends known fields only", "came as ", func(ctx context.Context, log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
			return tailFrom(ctx, log, begin(request), func(event *kindspb.ClickEvent) error {
				return stream.Send(&kindspb.ClickEvent{Type: event.GetType(), UserId: event.GetUserId(), EventTime: event.GetEventTime()})
			})
		}},
		{"sends always all", "events after a position are sent: ", func(ctx context.Context, log eventlog.Log, _ *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
			return tailFrom(ctx, log, eventlog.From{}, stream.Send)
		}},
		{"sends the event at the position", "after 0 events came the one at position 1, want the one at position 2", func(ctx context.Context, log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
			from := begin(request)
			from.After--
			return tailFrom(ctx, log, from, stream.Send)
		}},
		{"ignores the time", "events since a time are sent: ", func(ctx context.Context, log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
			return tailFrom(ctx, log, eventlog.After(eventlog.Position(request.GetAfter())), stream.Send)
		}},
		{"needs a time", "empty and partial events are sent: ", func(ctx context.Context, log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
			return tailFrom(ctx, log, begin(request), func(event *kindspb.ClickEvent) error {
				_ = event.EventTime.Seconds
				return stream.Send(event)
			})
		}},
		{"ends well when the log fails", "the log failed, and the call ended without an error", func(ctx context.Context, log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
			if err := tailFrom(ctx, log, begin(request), stream.Send); ctx.Err() != nil {
				return err
			}
			return nil
		}},
		{"calls every error internal", "the log failed with code Unavailable, and the call with ", func(ctx context.Context, log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
			if err := tailFrom(ctx, log, begin(request), stream.Send); ctx.Err() != nil {
				return err
			}
			return errors.New("the log has failed")
		}},
		{"goes on after its caller", "Follow still runs 1s after its caller has gone", func(_ context.Context, log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
			return tailFrom(context.Background(), log, begin(request), stream.Send)
		}},
		{"goes on after its server", "Follow still runs 1s after the server began to stop", func(_ context.Context, log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
			return tailFrom(stream.Context(), log, begin(request), stream.Send)
		}},
		{"ends well with its server", "the server stopped, and the call ended with EOF", func(ctx context.Context, log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
			if err := tailFrom(ctx, log, begin(request), stream.Send); ctx.Err() == nil {
				return err
			}
			return nil
		}},
		{"holds a lock", "a caller who does not read holds up no other: ", func(ctx context.Context, log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
			lock.Lock()
			defer lock.Unlock()
			return tailFrom(ctx, log, begin(request), stream.Send)
		}},
		{"leaves a goroutine behind", "Follow leaves goroutines behind: 4 of 4 calls left ", func(ctx context.Context, log eventlog.Log, request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
			go func() { <-forever }()
			return tailFrom(ctx, log, begin(request), stream.Send)
		}},
	}
}
