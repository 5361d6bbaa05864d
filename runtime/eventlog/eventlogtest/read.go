package eventlogtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// beginnings are the ways to say where reading begins, as events of a log with
// some that were recorded later than others.
func (e Engine) beginnings(t *testing.T, log eventlog.Log) (all []eventlog.Event, tests map[string]beginning) {
	all = append(events("early", 1500), events("late", 600)...)
	var receipts []eventlog.Receipt
	for part := range slices.Chunk(all[:1500], 500) {
		receipts = append(receipts, mustAppend(t, log, part...)...)
	}
	time.Sleep(5 * time.Millisecond)
	between := time.Now()
	time.Sleep(5 * time.Millisecond)
	receipts = append(receipts, mustAppend(t, log, all[1500:]...)...)
	records := mustRead(t, log, eventlog.From{})
	return all, map[string]beginning{
		"the beginning":           {eventlog.From{}, 0},
		"0":                       {eventlog.After(0), 0},
		"a position":              {eventlog.After(receipts[2].Position), 3},
		"a position in the midst": {eventlog.After(receipts[1023].Position), 1024},
		"the last but one":        {eventlog.After(receipts[2098].Position), 2099},
		"the end":                 {eventlog.After(receipts[2099].Position), 2100},
		"behind the end":          {eventlog.After(receipts[2099].Position + 100), 2100},
		"long ago":                {eventlog.Since(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)), 0},
		"before year 1":           {eventlog.Since(time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)), 0},
		"a time between":          {eventlog.Since(between), 1500},
		"in another zone":         {eventlog.Since(between.In(time.FixedZone("", -5*60*60))), 1500},
		"the very time":           {eventlog.Since(records[1500].Recorded), 1500},
		"in the future":           {eventlog.Since(time.Now().Add(time.Hour)), 2100},
	}
}

// beginning is where reading begins and the index of the first event there.
type beginning struct {
	from eventlog.From
	want int
}

func (e Engine) reads(t *testing.T) {
	t.Run("an empty log", func(t *testing.T) {
		if got := ids(t, e.empty(t)); len(got) != 0 {
			t.Errorf("read %v", got)
		}
	})
	t.Run("from", func(t *testing.T) {
		log, another := e.shared(t)
		all, tests := e.beginnings(t, log)
		for name, test := range tests {
			for process, log := range []eventlog.Log{log, another} {
				records := mustRead(t, log, test.from)
				if len(records) != len(all)-test.want {
					t.Errorf("%s, process %d: %d records, want %d", name, process, len(records), len(all)-test.want)
				} else if len(records) > 0 && records[0].ID != all[test.want].ID {
					t.Errorf("%s, process %d: the first is %s, want %s", name, process, records[0].ID, all[test.want].ID)
				}
			}
		}
	})
	t.Run("it ends though more is appended", func(t *testing.T) {
		log := e.empty(t)
		mustAppend(t, log, event("first"))
		seen := 0
		for _, err := range log.Read(within(t), eventlog.From{}) {
			if err != nil {
				t.Fatal(err)
			}
			if seen++; seen == 1000 {
				t.Fatal("it does not end")
			}
			mustAppend(t, log, event(fmt.Sprint(seen)))
		}
	})
	t.Run("who reads may stop", func(t *testing.T) {
		log := e.empty(t)
		mustAppend(t, log, events("", 10)...)
		for record, err := range log.Read(within(t), eventlog.From{}) {
			if err != nil || record.ID != "0" {
				t.Errorf("first: %q, %v", record.ID, err)
			}
			break // and nothing else is yielded
		}
	})
	t.Run("a context that ends", func(t *testing.T) {
		log := e.empty(t)
		mustAppend(t, log, event("1"), event("2"), event("3"))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		got, last := follow(log.Read(ctx, eventlog.From{}), func(eventlog.Record) bool { cancel(); return true })
		if !slices.Equal(got, []string{"1"}) || status.Code(last) != codes.Canceled {
			t.Errorf("read %v and then %v, want [1] and then that it was cancelled", got, last)
		}
	})
}

// follow reads until there is no more, or next says that it is enough. It
// returns the ids, and the last error.
func follow(records iter.Seq2[eventlog.Record, error], next func(eventlog.Record) bool) (ids []string, last error) {
	for record, err := range records {
		if last = err; err == nil {
			if ids = append(ids, record.ID); !next(record) {
				break
			}
		}
	}
	return ids, last
}

func (e Engine) tails(t *testing.T) {
	t.Run("from", func(t *testing.T) {
		log, another := e.shared(t)
		all, tests := e.beginnings(t, log)
		for name, test := range tests {
			if test.want == len(all) {
				continue // below
			}
			got, err := follow(another.Tail(within(t), test.from), func(record eventlog.Record) bool {
				return record.ID != all[len(all)-1].ID
			})
			if err != nil || len(got) != len(all)-test.want || got[0] != all[test.want].ID {
				t.Errorf("%s: %d events and then %v, want %d", name, len(got), err, len(all)-test.want)
			}
		}
	})
	t.Run("what comes later is yielded soon", func(t *testing.T) {
		log, another := e.shared(t)
		last := mustAppend(t, log, event("before"))[0].Position
		for name, from := range map[string]eventlog.From{"position": eventlog.After(last), "time": eventlog.Since(time.Now())} {
			for process, tailed := range []eventlog.Log{log, another} {
				came := make(chan eventlog.Record)
				ctx, cancel := context.WithCancel(within(t))
				ended := make(chan error)
				go func() {
					_, err := follow(tailed.Tail(ctx, from), func(record eventlog.Record) bool {
						came <- record
						return true
					})
					ended <- err
				}()
				time.Sleep(20 * time.Millisecond) // it is idle now, as a rule
				soonest := testTimeout
				for i := range 3 {
					id := fmt.Sprint(name, process, i)
					began := time.Now()
					mustAppend(t, log, event(id))
					for (<-came).ID != id {
					}
					soonest = min(soonest, time.Since(began))
				}
				if soonest > 2*time.Second { // on a busy machine one may
					t.Errorf("it took %v at least", soonest)
				}
				cancel()
				if err := <-ended; status.Code(err) != codes.Canceled {
					t.Errorf("the last error is %v, want that it was cancelled", err)
				}
			}
		}
	})
	t.Run("closing the log ends it", func(t *testing.T) {
		log := e.empty(t)
		mustAppend(t, log, event("a"))
		time.AfterFunc(50*time.Millisecond, func() { _ = log.Close() })
		_, err := follow(log.Tail(within(t), eventlog.From{}), func(eventlog.Record) bool { return true })
		if !errors.Is(err, eventlog.ErrClosed) {
			t.Errorf("got %v, want that the log is closed", err)
		}
	})
	t.Run("a deadline ends it", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := follow(e.empty(t).Tail(ctx, eventlog.From{}), func(eventlog.Record) bool { return true })
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("got %v, want that the deadline has passed", err)
		}
	})
}
