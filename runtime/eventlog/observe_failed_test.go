package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// takenLog is a log that says when an event was taken from it by a tail.
type takenLog struct {
	eventlog.Log
	id    string
	taken chan struct{}
}

func (l takenLog) Tail(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for record, err := range l.Log.Tail(ctx, from) {
			wanted := yield(record, err)
			if record.ID == l.id {
				close(l.taken)
			}
			if !wanted {
				return
			}
		}
	}
}

// TestObserversSeeWhatBecomesOfAnEvent: each try, why it failed, and what is done then,
// with the context that the observer returned.
func TestObserversSeeWhatBecomesOfAnEvent(t *testing.T) {
	for name, batches := range map[string]bool{"one by one": false, "in batches": true} {
		t.Run(name, func(t *testing.T) {
			inner, err := eventlog.Open(t.Context(), "memory:")
			if err != nil {
				t.Fatal(err)
			}
			type key struct{}
			var mu sync.Mutex
			var seen []string
			note := func(format string, args ...any) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, fmt.Sprintf(format, args...))
			}
			taken := make(chan struct{})
			log := eventlog.Observe(takenLog{inner, "b", taken}, eventlog.Observer{
				Handling: func(ctx context.Context, consumer string, records []eventlog.Record) (context.Context, func(error)) {
					note("%s gets %d", consumer, len(records))
					return context.WithValue(ctx, key{}, "within"), func(err error) { note("done: %v", err) }
				},
				Failed: func(ctx context.Context, consumer string, record *eventlog.Record, tries int, then eventlog.Then) {
					note("%s of %s failed %s, try %d, gives up: %v, waits: %v", record.ID, consumer, ctx.Value(key{}), tries, then.GiveUp, then.Retry > 0)
				},
			})
			mustAppend(t, log, eventlog.Event{ID: "first", Type: "t", Schema: "s"})
			ctx, stop := context.WithCancel(t.Context())
			handle := func(ctx context.Context, record eventlog.Record) error {
				if ctx.Value(key{}) != "within" {
					t.Error("the handler has another context")
				}
				switch record.ID {
				case "first":
					mustAppend(t, log, eventlog.Event{ID: "a", Type: "t", Schema: "s"}, eventlog.Event{ID: "b", Type: "t", Schema: "s"})
					<-taken // so that these make a batch
					return nil
				case "a":
					return errors.New("no route")
				}
				return nil
			}
			options := []eventlog.ConsumeOption{eventlog.Tries(2), eventlog.Backoff(time.Millisecond, time.Millisecond), eventlog.Logger(slog.New(slog.DiscardHandler))}
			go func() {
				for {
					if stats, _ := inner.Stats(t.Context()); len(stats.Consumers) == 1 && stats.Consumers[0].Lag == 0 {
						break
					}
					time.Sleep(time.Millisecond)
				}
				stop()
			}()
			if batches {
				err = eventlog.ConsumeBatches(ctx, log, "mailer", func(ctx context.Context, records []eventlog.Record) error {
					for _, record := range records {
						if err := handle(ctx, record); err != nil {
							return err
						}
					}
					return nil
				}, options...)
			} else {
				err = eventlog.Consume(ctx, log, "mailer", handle, options...)
			}
			if err != nil {
				t.Fatal(err)
			}
			alone := []string{
				"mailer gets 1", "a of mailer failed within, try 2, gives up: true, waits: false", "done: no route",
				"mailer gets 1", "done: <nil>",
			}
			first := []string{"mailer gets 1", "done: <nil>"}
			want := slices.Concat(first, []string{"mailer gets 1", "a of mailer failed within, try 1, gives up: false, waits: true", "done: no route"}, alone)
			if batches {
				want = slices.Concat(first, []string{
					"mailer gets 2", "a of mailer failed within, try 1, gives up: false, waits: true",
					"b of mailer failed within, try 1, gives up: false, waits: true", "done: no route",
				}, alone)
			}
			if !slices.Equal(seen, want) {
				t.Errorf("seen:\n%q\nwant:\n%q", seen, want)
			}
		})
	}
}
