package eventlogtest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

func mustStats(t testing.TB, log eventlog.Log) eventlog.Stats {
	t.Helper()
	stats, err := log.Stats(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return stats
}

func (e Engine) counts(t *testing.T) {
	url := e.URL(t)
	log := open(t, url)
	stats := mustStats(t, log)
	if stats.Events != 0 || stats.First != 0 || stats.Last != 0 || !stats.Oldest.IsZero() || stats.Durability != e.Durability || len(stats.Consumers) != 0 {
		t.Errorf("of an empty log: %+v", stats)
	}
	must(t, log.Check(within(t)))
	mustAppend(t, log, events("", 10)...)
	mustAppend(t, log, event("0")) // a duplicate
	records := mustRead(t, log, eventlog.From{})
	mailer, biller := mustHold(t, log, "mailer"), mustHold(t, log, "biller")
	must(t, mailer.Commit(within(t), records[3].Position))
	must(t, mailer.PutDead(within(t), eventlog.DeadLetter{Record: records[2], Tries: 1, GaveUp: time.Now()}))
	must(t, biller.Commit(within(t), records[9].Position))
	must(t, biller.Release())

	another := open(t, url)
	must(t, another.Check(within(t)))
	for _, log := range []eventlog.Log{log, another} {
		stats := mustStats(t, log)
		if stats.Events != 10 || stats.Bytes <= 0 || stats.First != records[0].Position || stats.Last != records[9].Position ||
			!stats.Oldest.Equal(records[0].Recorded) || stats.Durability != e.Durability {
			t.Errorf("of ten events: %+v", stats)
		}
		if len(stats.Consumers) != 2 {
			t.Fatalf("consumers: %+v", stats.Consumers)
		}
		if got, want := stats.Consumers[0], (eventlog.ConsumerStats{Name: "biller", Position: records[9].Position}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		got := stats.Consumers[1]
		if got.Name != "mailer" || got.Position != records[3].Position || got.Lag != 6 || got.Holder == "" || got.Dead != 1 {
			t.Errorf("mailer: %+v", got)
		}
		if !got.Oldest.Equal(records[4].Recorded) && !got.Oldest.IsZero() { // an engine may not know it
			t.Errorf("mailer: the oldest event that it has not handled is of %s, want %s", got.Oldest, records[4].Recorded)
		}
		if stats.Free != nil && *stats.Free < 0 {
			t.Errorf("%d bytes are free", *stats.Free)
		}
	}
}

// reportsCommits tests engines that report their commits: they report each event that
// they store once, whoever appends it, and no duplicate.
func (e Engine) reportsCommits(t *testing.T) {
	var mu sync.Mutex
	var stored int
	var bytes int64
	var took time.Duration
	log := e.empty(t)
	if _, reports := log.(interface{ OnCommit(eventlog.CommitFunc) }); !reports {
		return // engines need not
	}
	log = eventlog.Observe(log, eventlog.Observer{Committed: func(more int, of int64, in time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		stored, bytes, took = stored+more, bytes+of, took+in
	}})
	all := append(events("", 10), event("alone"))
	mustAppend(t, log, all[10])
	mustAppend(t, log, all[:10]...)
	mustAppend(t, log, all[10])                                      // a duplicate
	mustAppend(t, log, all[3], all[5])                               // duplicates
	if _, err := log.Append(within(t), other("alone")); err == nil { // a conflict
		t.Error("a conflict is stored")
	}
	size := 0
	for i := range all {
		size += all[i].Size()
	}
	mu.Lock()
	defer mu.Unlock()
	if stored != len(all) || bytes != int64(size) || took <= 0 {
		t.Errorf("commits of %d events with %d bytes in %s are reported, want %d with %d", stored, bytes, took, len(all), size)
	}
}

func (e Engine) closes(t *testing.T) {
	t.Run("every call after it fails", func(t *testing.T) {
		log := e.empty(t)
		mustAppend(t, log, event("a"))
		closeLog(t, log)
		_, appended := log.Append(t.Context(), event("b"))
		_, read := follow(log.Read(t.Context(), eventlog.From{}), func(eventlog.Record) bool { return true })
		_, tailed := follow(log.Tail(t.Context(), eventlog.From{}), func(eventlog.Record) bool { return true })
		_, held := log.Hold(t.Context(), "mailer")
		var dead error
		for _, dead = range log.Dead(t.Context(), "") {
		}
		_, retried := log.Retry(t.Context(), "mailer")
		_, discarded := log.Discard(t.Context(), "mailer")
		_, counted := log.Stats(t.Context())
		for name, err := range map[string]error{
			"Append": appended, "Read": read, "Tail": tailed, "Hold": held, "Dead": dead, "Retry": retried, "Discard": discarded,
			"Stats": counted, "Check": log.Check(t.Context()),
		} {
			if !errors.Is(err, eventlog.ErrClosed) || status.Code(err) != codes.Unavailable {
				t.Errorf("%s: %v, want that the log is closed", name, err)
			}
		}
	})
	t.Run("what was accepted is stored", func(t *testing.T) {
		url := e.URL(t)
		log := open(t, url)
		var acknowledged sync.Map
		var group sync.WaitGroup
		var count atomic.Int64
		for caller := range 32 {
			group.Go(func() {
				for i := 0; ; i++ {
					id := fmt.Sprintf("%d/%d", caller, i)
					receipts, err := log.Append(t.Context(), event(id), event(id+"+"))
					if errors.Is(err, eventlog.ErrClosed) {
						return
					}
					if err != nil {
						t.Errorf("got %v, want that the log is closed", err)
						return
					}
					count.Add(1)
					acknowledged.Store(id, receipts[0].Position)
					acknowledged.Store(id+"+", receipts[1].Position)
				}
			})
		}
		for deadline := time.Now().Add(testTimeout); count.Load() < 200 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		var closers sync.WaitGroup
		for range 3 {
			closers.Go(func() { closeLog(t, log) })
		}
		closers.Wait()
		group.Wait()
		closeLog(t, log)

		for _, record := range mustRead(t, open(t, url), eventlog.From{}) {
			position, found := acknowledged.LoadAndDelete(record.ID)
			if !found || position != record.Position {
				t.Errorf("%s is at %d, acknowledged at %v", record.ID, record.Position, position)
			}
		}
		acknowledged.Range(func(id, position any) bool {
			t.Errorf("%v was acknowledged at %v and is not there", id, position)
			return true
		})
	})
}
