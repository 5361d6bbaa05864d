package eventlogtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

func (e Engine) appends(t *testing.T) {
	t.Run("what was stored is read back", e.readsBack)
	t.Run("an append is stored whole or not at all", func(t *testing.T) {
		log := e.empty(t)
		known := mustAppend(t, log, event("known"))[0].Position
		if _, err := log.Append(within(t), append(events("x", 300), other("known"))...); !errors.Is(err, eventlog.ErrConflict) {
			t.Errorf("got %v, want a conflict", err)
		}
		if got := mustRead(t, log, eventlog.After(known)); len(got) != 0 {
			t.Errorf("%d events of it are stored", len(got))
		}
		mustAppend(t, log, append(events("x", 1200), event("known"))...)
		if got := mustRead(t, log, eventlog.After(known)); len(got) != 1200 {
			t.Errorf("%d events are stored, want 1200", len(got))
		}
	})
	t.Run("no events", func(t *testing.T) { mustAppend(t, e.empty(t)) })
	t.Run("a context that has ended", func(t *testing.T) {
		log := e.empty(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := log.Append(ctx, event("a")); status.Code(err) != codes.Canceled {
			t.Errorf("got %v, want that it was cancelled", err)
		}
		mustAppend(t, log, event("b"))
		if got := ids(t, log); !slices.Equal(got, []string{"b"}) {
			t.Errorf("stored %v, want [b]", got)
		}
	})
	t.Run("a log outlives the context that it was opened with", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		log, err := eventlog.Open(ctx, e.URL(t))
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		mustAppend(t, log, event("a"))
		closeLog(t, log)
	})
	t.Run("a log that is open for reading", func(t *testing.T) {
		url := e.URL(t)
		log := open(t, url)
		mustAppend(t, log, event("a"))
		reader, err := eventlog.OpenReader(within(t), url)
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, log, event("b"))
		if got := ids(t, reader); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("read %v, want [a b]", got)
		}
		_, err = reader.Append(within(t), event("c"))
		_, held := reader.Hold(within(t), "mailer")
		for _, err := range []error{err, held, reader.Check(within(t))} {
			if !errors.Is(err, eventlog.ErrReadOnly) || status.Code(err) != codes.FailedPrecondition {
				t.Errorf("got %v, want that it is for reading only", err)
			}
		}
		closeLog(t, reader)
	})
}

func (e Engine) readsBack(t *testing.T) {
	url := e.URL(t)
	log := open(t, url)
	everyByte := make([]byte, 256)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	appended := []eventlog.Event{
		event("1"),
		{ID: "2", Type: "t", Schema: "s"}, // only what is required
		{ID: "3", Source: "größe ✓ ' \" ;--\r\n: *>.", Type: "t %20", Subject: "\n\t", Schema: "s", Data: everyByte},
		{ID: "4", Source: strings.Repeat("x", 1024), Type: "t", Schema: "s", Data: bytes.Repeat(everyByte, 2048)},
		{ID: "5", Type: "t", Schema: "s", Time: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)},
		{ID: "6", Type: "t", Schema: "s", Time: time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)},
		{ID: " 7 ", Type: "t", Schema: "s", Time: time.Date(2026, 11, 22, 1, 2, 3, 4, time.FixedZone("", 2*60*60))},
		{ID: "8", Type: "t", Schema: "s", Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		{ID: "9", Type: "t", Schema: "s", Data: []byte("after one with a trace parent")},
	}
	began := time.Now()
	var receipts []eventlog.Receipt
	for _, event := range appended[:3] {
		receipts = append(receipts, mustAppend(t, log, event)...)
	}
	receipts = append(receipts, mustAppend(t, log, appended[3:]...)...)
	ended := time.Now()
	check := func(log eventlog.Log) {
		t.Helper()
		records := mustRead(t, log, eventlog.From{})
		if len(records) != len(appended) {
			t.Fatalf("%d records, want %d", len(records), len(appended))
		}
		for i, record := range records {
			want := appended[i]
			if receipts[i] != (eventlog.Receipt{Position: record.Position, Durability: e.Durability}) || record.Position < 1 {
				t.Errorf("event %s: receipt %+v, is at %d", want.ID, receipts[i], record.Position)
			}
			if i > 0 && record.Position <= records[i-1].Position {
				t.Errorf("event %s: position %d is not greater than %d", want.ID, record.Position, records[i-1].Position)
			}
			if record.Recorded.Before(began.Round(0)) || record.Recorded.After(ended) || record.Recorded.Location() != time.UTC {
				t.Errorf("event %s: recorded %v, want from %v to %v", want.ID, record.Recorded, began, ended)
			}
			if want.Time.IsZero() {
				want.Time = record.Recorded
			}
			checkEvent(t, record.Event, want)
		}
	}
	check(log)
	check(open(t, url))
	closeLog(t, log)
	check(open(t, url))
}

func checkEvent(t testing.TB, got, want eventlog.Event) {
	t.Helper()
	if !got.Time.Equal(want.Time) {
		t.Errorf("event %s: time %v, want %v", want.ID, got.Time, want.Time)
	}
	if got.ID != want.ID || got.Source != want.Source || got.Type != want.Type ||
		got.Subject != want.Subject || got.Schema != want.Schema || got.Traceparent != want.Traceparent || !bytes.Equal(got.Data, want.Data) {
		t.Errorf("got %.200v, want %.200v", got, want)
	}
}

func (e Engine) storesOnce(t *testing.T) {
	t.Run("sent again", func(t *testing.T) {
		url := e.URL(t)
		log := open(t, url)
		first := mustAppend(t, log, event("a"))[0]
		later := event("a")
		later.Time = time.Now() // is not compared, and neither is the next
		later.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		again := func(log eventlog.Log) {
			t.Helper()
			want := eventlog.Receipt{Position: first.Position, Duplicate: true, Durability: e.Durability}
			if got := mustAppend(t, log, later)[0]; got != want {
				t.Errorf("receipt %+v, want %+v", got, want)
			}
		}
		again(log)
		again(log)
		again(open(t, url))
		elsewhere := event("a")
		elsewhere.Source = "another shop"
		if mustAppend(t, log, elsewhere)[0].Duplicate {
			t.Error("an event of another source is a duplicate")
		}
		closeLog(t, log)
		log = open(t, url)
		again(log)
		if got := ids(t, log); len(got) != 2 {
			t.Errorf("stored %v, want two", got)
		}
		if got := mustRead(t, log, eventlog.From{})[0].Traceparent; got != "" {
			t.Errorf("it has the trace parent %q of a duplicate", got)
		}
	})
	t.Run("sent again under the new name of its schema", func(t *testing.T) {
		eventlog.RegisterMessage[*wrapperspb.StringValue]("eventlogtest.Former")
		const present = "google.protobuf.StringValue"
		log := e.empty(t)
		named := func(id, schema string) eventlog.Event {
			event := event(id)
			event.Schema = schema
			return event
		}
		untyped := func(schema string) eventlog.Event {
			event := named("untyped", schema)
			event.Type = schema
			return event
		}
		stored := mustAppend(t, log, named("a", "eventlogtest.Former"), untyped("eventlogtest.Former"))
		receipts := mustAppend(t, log, named("a", present), untyped(present), named("b", present))
		for i, first := range stored {
			if got := receipts[i]; !got.Duplicate || got.Position != first.Position {
				t.Errorf("event %d: receipt %+v, want that of a duplicate of %+v", i, got, first)
			}
		}
		if receipts[2].Duplicate {
			t.Error("a new event is a duplicate")
		}
		if got := mustAppend(t, log, named("a", present))[0]; !got.Duplicate || got.Position != stored[0].Position {
			t.Errorf("alone: receipt %+v, want that of a duplicate of %+v", got, stored[0])
		}
		changed := named("a", present)
		changed.Data = []byte("something else")
		if _, err := log.Append(within(t), changed); !errors.Is(err, eventlog.ErrConflict) {
			t.Errorf("with other data: got %v, want a conflict", err)
		}
		if _, err := log.Append(within(t), named("a", "eventlogtest.Stranger")); !errors.Is(err, eventlog.ErrConflict) {
			t.Errorf("under a name that it never had: got %v, want a conflict", err)
		}
		if got := ids(t, log); !slices.Equal(got, []string{"a", "untyped", "b"}) {
			t.Errorf("stored %v, want [a untyped b]", got)
		}
	})
	t.Run("source and id are not run together", func(t *testing.T) {
		log := e.empty(t)
		for _, key := range [][2]string{{"a", "bc"}, {"ab", "c"}, {"", "abc"}, {"a:b", "c"}, {"a", "b:c"}, {"a/b", "c"}, {"a", "b/c"}} {
			one := event(key[1])
			one.Source = key[0]
			if mustAppend(t, log, one)[0].Duplicate {
				t.Errorf("source %q, id %q is taken for another", key[0], key[1])
			}
		}
	})
	t.Run("within one append", func(t *testing.T) {
		log := e.empty(t)
		known := mustAppend(t, log, event("known"))[0]
		receipts := mustAppend(t, log, event("a"), event("known"), event("a"), event("b"))
		if receipts[0].Duplicate || !receipts[1].Duplicate || !receipts[2].Duplicate || receipts[3].Duplicate ||
			receipts[1].Position != known.Position || receipts[2].Position != receipts[0].Position {
			t.Errorf("receipts %+v", receipts)
		}
		if got := ids(t, log); !slices.Equal(got, []string{"known", "a", "b"}) {
			t.Errorf("stored %v, want [known a b]", got)
		}
	})
	t.Run("by many callers at once", func(t *testing.T) {
		one, another := e.shared(t)
		const callers, rounds = 64, 20
		var fresh [rounds]atomic.Int64
		var positions [rounds]sync.Map
		var group sync.WaitGroup
		for caller := range callers {
			log := []eventlog.Log{one, another}[caller%2]
			group.Go(func() {
				for round := range rounds {
					receipts, err := log.Append(within(t), event(fmt.Sprint(round)))
					if err != nil {
						t.Error(err)
						return
					}
					if !receipts[0].Duplicate {
						fresh[round].Add(1)
					}
					positions[round].Store(receipts[0].Position, true)
				}
			})
		}
		group.Wait()
		for round := range rounds {
			count := 0
			positions[round].Range(func(any, any) bool { count++; return true })
			if fresh := fresh[round].Load(); fresh != 1 || count != 1 {
				t.Errorf("event %d: %d times new, at %d positions", round, fresh, count)
			}
		}
		if got := ids(t, one); len(got) != rounds {
			t.Errorf("%d records, want %d", len(got), rounds)
		}
	})
}

func (e Engine) refusesAnother(t *testing.T) {
	for name, change := range map[string]func(*eventlog.Event){
		"type":    func(e *eventlog.Event) { e.Type = "order.cancelled" },
		"subject": func(e *eventlog.Event) { e.Subject = "tom" },
		"schema":  func(e *eventlog.Event) { e.Schema = "shop.v2.OrderEvent" },
		"data":    func(e *eventlog.Event) { e.Data = []byte("data of b") },
		"no data": func(e *eventlog.Event) { e.Data = nil },
	} {
		t.Run(name, func(t *testing.T) {
			log := e.empty(t)
			mustAppend(t, log, event("a"))
			changed, changedNew := event("a"), event("c")
			change(&changed)
			change(&changedNew)
			_, err := log.Append(within(t), changed)
			if !errors.Is(err, eventlog.ErrConflict) || status.Code(err) != codes.AlreadyExists || !strings.Contains(err.Error(), `source "shop", id "a"`) {
				t.Errorf("got %v, want a conflict that names source and id", err)
			}
			if _, err := log.Append(within(t), event("b"), changed); !errors.Is(err, eventlog.ErrConflict) {
				t.Errorf("got %v, want a conflict", err)
			}
			if _, err := log.Append(within(t), event("c"), changedNew); !errors.Is(err, eventlog.ErrConflict) {
				t.Errorf("within one append: got %v, want a conflict", err)
			}
			if got := ids(t, log); !slices.Equal(got, []string{"a"}) {
				t.Errorf("stored %v, want [a]", got)
			}
		})
	}
}

func (e Engine) refusesInvalid(t *testing.T) {
	log := e.empty(t)
	for name, test := range map[string]struct {
		change func(*eventlog.Event)
		says   string
	}{
		"empty id":        {func(e *eventlog.Event) { e.ID = "" }, "id is empty"},
		"empty type":      {func(e *eventlog.Event) { e.Type = "" }, "type is empty"},
		"empty schema":    {func(e *eventlog.Event) { e.Schema = "" }, "schema is empty"},
		"long id":         {func(e *eventlog.Event) { e.ID = strings.Repeat("x", 1025) }, "id has 1025 bytes, at most 1024"},
		"long source":     {func(e *eventlog.Event) { e.Source = strings.Repeat("x", 1025) }, "source has 1025 bytes"},
		"NUL in subject":  {func(e *eventlog.Event) { e.Subject = "a\x00b" }, "subject has a NUL byte"},
		"not UTF-8":       {func(e *eventlog.Event) { e.Source = "a\xff" }, "source is not valid UTF-8"},
		"before year 1":   {func(e *eventlog.Event) { e.Time = time.Date(0, 12, 31, 23, 0, 0, 0, time.UTC) }, "time is in the year 0"},
		"after year 9999": {func(e *eventlog.Event) { e.Time = time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -7200)) }, "time is in the year 10000"},
		"trace parent":    {func(e *eventlog.Event) { e.Traceparent = "00-0af7651916cd43dd8448eb211c80319c" }, "traceparent is not"},
		"too much data":   {func(e *eventlog.Event) { e.Data = make([]byte, 64<<20) }, "append them in parts"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := event("a")
			test.change(&changed)
			_, err := log.Append(within(t), changed)
			if !errors.Is(err, eventlog.ErrInvalid) || status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want that %s", err, test.says)
			}
			if _, err := log.Append(within(t), event("b"), changed); !errors.Is(err, eventlog.ErrInvalid) {
				t.Errorf("got %v, want that it is not valid", err)
			}
		})
	}
	if got := ids(t, log); len(got) != 0 {
		t.Errorf("stored %v, want nothing", got)
	}
}

// bears tests a log that many use at once, in two processes: nothing is lost,
// nothing is stored twice, and readers see one order.
func (e Engine) bears(t *testing.T) {
	one, another := e.shared(t)
	const callers, each = 16, 40
	ctx := within(t)
	var acknowledged sync.Map
	var group sync.WaitGroup
	for caller := range callers {
		log := []eventlog.Log{one, another}[caller%2]
		group.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d/%d", caller, i)
				receipts, err := log.Append(ctx, event(id), event(id+"+"))
				if err != nil {
					t.Error(err)
					return
				}
				acknowledged.Store(id, receipts[0].Position)
				acknowledged.Store(id+"+", receipts[1].Position)
			}
		})
	}
	tailed := make([][]eventlog.Record, 2)
	for i, log := range []eventlog.Log{one, another} {
		group.Go(func() {
			for record, err := range log.Tail(ctx, eventlog.From{}) {
				if err != nil {
					t.Errorf("tail: %v", err)
					return
				}
				if tailed[i] = append(tailed[i], record); len(tailed[i]) == 2*callers*each {
					return
				}
			}
		})
	}
	group.Wait()
	for _, records := range [][]eventlog.Record{tailed[0], tailed[1], mustRead(t, one, eventlog.From{})} {
		if len(records) != 2*callers*each {
			t.Fatalf("%d records, want %d", len(records), 2*callers*each)
		}
		for i, record := range records {
			if position, _ := acknowledged.Load(record.ID); position != record.Position {
				t.Errorf("%s is at %d, acknowledged at %v", record.ID, record.Position, position)
			}
			if i > 0 && record.Position <= records[i-1].Position {
				t.Fatalf("position %d comes after %d", record.Position, records[i-1].Position)
			}
		}
	}
}
