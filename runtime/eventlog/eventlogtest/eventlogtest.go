// Package eventlogtest is the contract of package eventlog: what every engine
// promises, as tests that run on any of them.
package eventlogtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Engine is what the contract has to know of an engine.
type Engine struct {
	// URL names a log that is empty, and another one at each call.
	URL func(testing.TB) string
	// Durability is what the log makes sure of.
	Durability eventlog.Durability
	// Steal takes the place of a consumer from the one that holds it, as the
	// loss of a connection would. It is nil if no place can be lost.
	Steal func(t testing.TB, url, consumer string)
}

// Run tests an engine. A log that is opened twice stands for one that two
// processes have open.
func Run(t *testing.T, engine Engine) {
	for _, promise := range []struct {
		name string
		keep func(Engine, *testing.T)
	}{
		{"append", Engine.appends},
		{"duplicates", Engine.storesOnce},
		{"conflicts", Engine.refusesAnother},
		{"validation", Engine.refusesInvalid},
		{"read", Engine.reads},
		{"tail", Engine.tails},
		{"hold", Engine.holds},
		{"dead letters", Engine.buries},
		{"stats", Engine.counts},
		{"consume", Engine.consumes},
		{"close", Engine.closes},
		{"many at once", Engine.bears},
	} {
		t.Run(promise.name, func(t *testing.T) { promise.keep(engine, t) })
	}
}

// patience is how long a test waits for what should come soon.
const patience = 20 * time.Second

// within is a context for what should not take long.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// empty is a new log, open.
func (e Engine) empty(t testing.TB) eventlog.Log {
	t.Helper()
	return open(t, e.URL(t))
}

// shared is a new log, open twice.
func (e Engine) shared(t testing.TB) (one, another eventlog.Log) {
	t.Helper()
	url := e.URL(t)
	return open(t, url), open(t, url)
}

func open(t testing.TB, url string) eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(within(t), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

func closeLog(t testing.TB, log eventlog.Log) {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

// event is a valid event with an id.
func event(id string) eventlog.Event {
	return eventlog.Event{ID: id, Source: "shop", Type: "order.placed", Subject: "jerry", Schema: "shop.v1.OrderEvent", Data: []byte("data of " + id)}
}

// other is another event with the same id.
func other(id string) eventlog.Event {
	event := event(id)
	event.Data = []byte("something else")
	return event
}

// events are as many valid events, with ids that begin alike.
func events(prefix string, count int) []eventlog.Event {
	events := make([]eventlog.Event, count)
	for i := range events {
		events[i] = event(fmt.Sprint(prefix, i))
	}
	return events
}

func mustAppend(t testing.TB, log eventlog.Log, events ...eventlog.Event) []eventlog.Receipt {
	t.Helper()
	receipts, err := log.Append(within(t), events...)
	if err != nil {
		t.Fatal(err)
	}
	if len(receipts) != len(events) {
		t.Fatalf("%d receipts for %d events", len(receipts), len(events))
	}
	return receipts
}

func mustRead(t testing.TB, log eventlog.Log, from eventlog.From) (records []eventlog.Record) {
	t.Helper()
	for record, err := range log.Read(within(t), from) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	return records
}

// ids are those of all that a log holds.
func ids(t testing.TB, log eventlog.Log) []string {
	t.Helper()
	return idsOf(mustRead(t, log, eventlog.From{}))
}

func idsOf(records []eventlog.Record) (ids []string) {
	for _, record := range records {
		ids = append(ids, record.ID)
	}
	return ids
}
