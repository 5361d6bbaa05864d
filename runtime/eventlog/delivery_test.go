package eventlog

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"testing"
	"time"
)

// stolenLog is a log whose first hold has lost its place when it is moved, and
// whose tails end only when they are let go.
type stolenLog struct {
	Log
	release chan struct{}
}

func (l stolenLog) Hold(ctx context.Context, consumer string) (Hold, error) {
	hold, err := l.Log.Hold(ctx, consumer)
	return stolenHold{hold}, err
}

func (l stolenLog) Tail(ctx context.Context, from From) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		defer func() { <-l.release }()
		l.Log.Tail(ctx, from)(yield)
	}
}

type stolenHold struct{ Hold }

func (h stolenHold) Commit(ctx context.Context, to Position) error {
	if to > 0 {
		return Held("mailer", "another")
	}
	return h.Hold.Commit(ctx, to)
}

// When the place is lost, handlers are abandoned before all else has ended.
func TestHandlersOfALostPlaceAreAbandoned(t *testing.T) {
	inner, err := Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	log := stolenLog{inner, make(chan struct{})}
	for _, id := range []string{"quick", "slow"} {
		if _, err := log.Append(t.Context(), Event{ID: id, Type: "t", Subject: id, Schema: "s"}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	abandoned, ended := make(chan error, 100), make(chan error, 1)
	go func() {
		ended <- Consume(ctx, log, "mailer", func(handling context.Context, record Record) error {
			if record.ID == "slow" {
				select {
				case <-handling.Done():
					abandoned <- context.Cause(handling)
				case <-ctx.Done(): // the test has failed
				}
			}
			return nil
		}, Concurrency(2), Logger(slog.New(slog.DiscardHandler)))
	}()
	select {
	case err := <-abandoned:
		if !errors.Is(err, ErrHeld) {
			t.Errorf("it was abandoned for %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it was not abandoned")
	}
	cancel()
	close(log.release)
	if err := <-ended; err != nil {
		t.Errorf("the consumer ended with %v", err)
	}
}
