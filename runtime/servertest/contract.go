package servertest

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// TakesEvents tests an RPC that takes one event: what it acknowledges is
// stored, once, and what it can't store it does not acknowledge.
//
// Each call of sample makes an event that the service accepts. In an event the
// field named kind says what happened. Each call of serve runs the service on a
// log and returns how to send it an event.
func TakesEvents[Event proto.Message](
	t *testing.T,
	sample func() Event,
	kind protoreflect.Name,
	serve func(testing.TB, eventlog.Log) func(context.Context, Event) error,
) {
	t.Run("an acknowledged event is stored", func(t *testing.T) {
		log := Log(t)
		send, event := serve(t, log), sample()
		if err := send(within(t), event); err != nil {
			t.Fatal(err)
		}
		stored := stored[Event](t, log)
		if len(stored) != 1 || !proto.Equal(stored[0], event) {
			t.Errorf("the log holds %v, want %v", stored, event)
		}
	})

	t.Run("many at once are all stored", func(t *testing.T) {
		const callers = 32
		log := Log(t)
		send := serve(t, log)
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				if err := send(within(t), sample()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if stored := stored[Event](t, log); len(stored) != callers {
			t.Errorf("the log holds %d events, want %d", len(stored), callers)
		}
	})

	t.Run("an event sent again is stored once", func(t *testing.T) {
		log := Log(t)
		send, event := serve(t, log), sample()
		ctx := eventid.WithID(within(t), eventid.New())
		for range 2 {
			if err := send(ctx, event); err != nil {
				t.Fatal(err)
			}
		}
		if stored := stored[Event](t, log); len(stored) != 1 {
			t.Errorf("the log holds %v, want one event", stored)
		}
	})

	t.Run("another event under the same id is refused", func(t *testing.T) {
		log := Log(t)
		send, event := serve(t, log), sample()
		ctx := eventid.WithID(within(t), eventid.New())
		if err := send(ctx, event); err != nil {
			t.Fatal(err)
		}
		other := proto.CloneOf(event)
		change(other, kind)
		if err := send(ctx, other); status.Code(err) != codes.AlreadyExists {
			t.Errorf("error is %v, want code AlreadyExists", err)
		}
		if stored := stored[Event](t, log); len(stored) != 1 || !proto.Equal(stored[0], event) {
			t.Errorf("the log holds %v, want %v alone", stored, event)
		}
	})

	t.Run("an event that can't be stored is not acknowledged", func(t *testing.T) {
		err := serve(t, broken{})(within(t), sample())
		if code := status.Code(err); code != codes.Unavailable {
			t.Errorf("error is %v, want code Unavailable", err)
		}
	})
}

// Answers tests an RPC of any kind: an empty request and a full one each get an
// answer, or an error that has a code. A nil sample stands for a request with a
// value in every field.
func Answers[Request proto.Message](
	t *testing.T,
	sample func() Request,
	serve func(testing.TB) func(context.Context, Request) error,
) {
	send := serve(t)
	empty := empty[Request]()
	full := proto.CloneOf(empty)
	if sample != nil {
		full = sample()
	} else {
		Fill(full)
	}
	for name, request := range map[string]Request{"an empty request": empty, "a full request": full} {
		t.Run(name, func(t *testing.T) {
			switch err := send(within(t), request); status.Code(err) {
			case codes.Unknown, codes.Internal, codes.DeadlineExceeded:
				t.Errorf("error is %v, want one with a code that tells the caller what to do", err)
			}
		})
	}
}

// within is a context that bounds a call of a test, with no id of an event.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(t.Context(), nil), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func empty[M proto.Message]() M {
	var none M
	return none.ProtoReflect().New().Interface().(M)
}

func stored[Event proto.Message](t testing.TB, log eventlog.Log) (events []Event) {
	t.Helper()
	for stored, err := range eventlog.ReadMessages[Event](t.Context(), log, 0) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, stored.Message)
	}
	return events
}

// change makes what is said in a field another thing.
func change(m proto.Message, field protoreflect.Name) {
	message := m.ProtoReflect()
	fd := message.Descriptor().Fields().ByName(field)
	message.Set(fd, protoreflect.ValueOfString(message.Get(fd).String()+", or not"))
}

// broken is a log whose storage is out of reach.
type broken struct{}

var errBroken = &eventlog.Error{Kind: eventlog.ErrUnavailable, Cause: errors.New("broken, for the test")}

func (broken) Append(context.Context, ...eventlog.Event) ([]eventlog.Receipt, error) {
	return nil, errBroken
}

func (broken) Read(context.Context, eventlog.Position) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) { yield(eventlog.Record{}, errBroken) }
}

func (broken) Close() error { return nil }
