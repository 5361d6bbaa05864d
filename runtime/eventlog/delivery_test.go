package eventlog_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// stolenLog is a log whose first hold has lost its place when it is moved, and
// whose tails end only when they are let go.
type stolenLog struct {
	eventlog.Log
	release chan struct{}
}

func (l stolenLog) Hold(ctx context.Context, consumer string) (eventlog.Hold, error) {
	hold, err := l.Log.Hold(ctx, consumer)
	return stolenHold{hold}, err
}

func (l stolenLog) Tail(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		defer func() { <-l.release }()
		l.Log.Tail(ctx, from)(yield)
	}
}

type stolenHold struct{ eventlog.Hold }

func (h stolenHold) Commit(ctx context.Context, to eventlog.Position) error {
	if to > 0 {
		return eventlog.Held("mailer", "another")
	}
	return h.Hold.Commit(ctx, to)
}

// When the place is lost, handlers are abandoned before all else has ended.
func TestHandlersOfALostPlaceAreAbandoned(t *testing.T) {
	inner, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	log := stolenLog{inner, make(chan struct{})}
	for _, id := range []string{"quick", "slow"} {
		if _, err := log.Append(t.Context(), eventlog.Event{ID: id, Type: "t", Subject: id, Schema: "s"}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	abandoned, ended := make(chan error, 100), make(chan error, 1)
	go func() {
		ended <- eventlog.Consume(ctx, log, "mailer", func(handling context.Context, record eventlog.Record) error {
			if record.ID == "slow" {
				select {
				case <-handling.Done():
					abandoned <- context.Cause(handling)
				case <-ctx.Done(): // the test has failed
				}
			}
			return nil
		}, eventlog.Concurrency(2), eventlog.Logger(slog.New(slog.DiscardHandler)))
	}()
	select {
	case err := <-abandoned:
		if !errors.Is(err, eventlog.ErrHeld) {
			t.Errorf("it was abandoned for %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("it was not abandoned")
	}
	cancel()
	close(log.release)
	if err := <-ended; err != nil {
		t.Errorf("the consumer ended with %v", err)
	}
}

// slowLog is a log whose holds wait before they record what was handled, and whose tails
// report what they are about to yield.
type slowLog struct {
	eventlog.Log
	release chan struct{}
	yields  func(id string)
}

func (l slowLog) Tail(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		l.Log.Tail(ctx, from)(func(record eventlog.Record, err error) bool {
			l.yields(record.ID)
			return yield(record, err)
		})
	}
}

func (l slowLog) Hold(ctx context.Context, consumer string) (eventlog.Hold, error) {
	hold, err := l.Log.Hold(ctx, consumer)
	return slowHold{hold, l.release}, err
}

type slowHold struct {
	eventlog.Hold
	release chan struct{}
}

func (h slowHold) Commit(ctx context.Context, to eventlog.Position) error {
	if to > 0 {
		<-h.release
	}
	return h.Hold.Commit(ctx, to)
}

// An event that is handled makes room for the next one, before that is recorded.
func TestLargeEventsWaitOnlyForThoseThatAreHandled(t *testing.T) {
	inner, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan struct{})
	log := slowLog{inner, make(chan struct{}), func(id string) {
		if id == "second" {
			close(second)
		}
	}}
	for _, id := range []string{"first", "second"} {
		event := eventlog.Event{ID: id, Type: "t", Subject: id, Schema: "s", Data: make([]byte, eventlog.MaxTakenBytes*2/3)}
		if _, err := log.Append(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	handled, ended := make(chan string, 2), make(chan error, 1)
	go func() {
		ended <- eventlog.Consume(ctx, log, "mailer", func(_ context.Context, record eventlog.Record) error {
			<-second // is about to wait
			handled <- record.ID
			return nil
		})
	}()
	for _, want := range []string{"first", "second"} {
		select {
		case got := <-handled:
			if got != want {
				t.Errorf("%s is handled, want %s", got, want)
			}
		case <-time.After(time.Minute):
			t.Errorf("the %s event is not handled", want)
		}
	}
	cancel()
	close(log.release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
