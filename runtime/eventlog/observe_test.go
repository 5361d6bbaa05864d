package eventlog_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/memory"
)

// observations count what an observer sees.
type observations struct {
	mu     sync.Mutex
	counts map[string]int
}

func (o *observations) add(what string, count int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.counts == nil {
		o.counts = map[string]int{}
	}
	o.counts[what] += count
}

func (o *observations) get() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.counts)
}

func (o *observations) observer() eventlog.Observer {
	return eventlog.Observer{
		Appended:  func(_ []eventlog.Receipt, events int, _ error, _ time.Duration) { o.add("appended", events) },
		Committed: func(events int, _ int64, _ time.Duration) { o.add("committed", events) },
		Handling: func(ctx context.Context, _ string, records []eventlog.Record) (context.Context, func(error)) {
			return ctx, func(err error) {
				if err == nil {
					o.add("handled", len(records))
				}
			}
		},
		Failed: func(_ context.Context, _ string, _ *eventlog.Record, _ int, then eventlog.Then) {
			if then.GiveUp {
				o.add("gave up", 1)
			} else {
				o.add("retrying", 1)
			}
		},
	}
}

// Each observer sees everything once, however logs are wrapped, and one without
// functions sees nothing.
func TestAllObserversSeeWhatHappens(t *testing.T) {
	for name, batches := range map[string]bool{"one by one": false, "in batches": true} {
		t.Run(name, func(t *testing.T) {
			raw, err := eventlog.Open(t.Context(), "memory:")
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			inner, outer := &observations{}, &observations{}
			log := eventlog.Observe(eventlog.Observe(raw, inner.observer(), eventlog.Observer{}), outer.observer())
			var events []eventlog.Event
			for _, id := range []string{"a", "b", "bad"} {
				events = append(events, eventlog.Event{ID: id, Source: "shop", Type: "placed", Subject: id, Schema: "shop.Order"})
			}
			if _, err := log.Append(t.Context(), events...); err != nil {
				t.Fatal(err)
			}
			var together atomic.Int64 // with the bad one, when it failed first
			handle := func(records []eventlog.Record) error {
				for _, record := range records {
					if record.ID == "bad" {
						together.CompareAndSwap(0, int64(len(records)))
						return errors.New("no")
					}
				}
				return nil
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			options := []eventlog.ConsumeOption{eventlog.Tries(2), eventlog.Backoff(time.Millisecond, time.Millisecond), eventlog.Logger(slog.New(slog.DiscardHandler))}
			go func() {
				if batches {
					ended <- eventlog.ConsumeBatches(ctx, log, "c", func(_ context.Context, records []eventlog.Record) error { return handle(records) }, options...)
				} else {
					ended <- eventlog.Consume(ctx, log, "c", func(_ context.Context, record eventlog.Record) error { return handle([]eventlog.Record{record}) }, options...)
				}
			}()
			for name, of := range map[string]*observations{"inner": inner, "outer": outer} {
				eventually(t, "the "+name+" observer sees all", func() bool { return of.get()["gave up"] == 1 && of.get()["handled"] == 2 })
			}
			stop()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			want := map[string]int{"appended": 3, "committed": 3, "handled": 2, "retrying": int(together.Load()), "gave up": 1}
			for name, of := range map[string]*observations{"inner": inner, "outer": outer} {
				if got := of.get(); !maps.Equal(got, want) {
					t.Errorf("the %s observer sees %v, want %v", name, got, want)
				}
			}
		})
	}
}
